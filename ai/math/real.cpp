// SPDX-License-Identifier: GPL-2.0-or-later
// Computes with range reduction and power series. A series ends where the next term is below 2^-56.
#include "ai/math/real.h"

#include <bit>

#include "kernel/base/types.h"

namespace ai::real {
namespace {

constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
// ln 2 and pi / 2, split into parts of 33 bits and a rest: products with integers below 2^20 are
// exact.
constexpr double kLn2High = 0x1.62e42fefp-1, kLn2Low = 0x1.473de6af278edp-34;
constexpr double kHalfPi1 = 0x1.921fb544p+0, kHalfPi2 = 0x1.0b4611a6p-34,
                 kHalfPi3 = 0x1.3198a2e037073p-69;
constexpr double kLog2E = 0x1.71547652b82fep+0, kTwoByPi = 0x1.45f306dc9c883p-1;

struct Quadrant {
  double r;  // in [-pi/4, pi/4]
  u64 number;
};

Quadrant reduce(double x) {
  double shifted = x * kTwoByPi + kMagic;
  double n = shifted - kMagic;
  double r = x - n * kHalfPi1;
  r = r - n * kHalfPi2;
  r = r - n * kHalfPi3;
  return {r, std::bit_cast<u64>(shifted) & 3};
}

// Evaluates power series in nested form: each step adds one term, from the smallest up.
double sine_series(double x) {
  double square = x * x, sum = 0;
  for (int k = 19; k >= 3; k -= 2) sum = (1 + sum) * (-square / (k * (k - 1)));
  return x + x * sum;
}

double cosine_series(double x) {
  double square = x * x, sum = 0;
  for (int k = 20; k >= 4; k -= 2) sum = (1 + sum) * (-square / (k * (k - 1)));
  return 1 - square / 2 * (1 + sum);
}

double in_quadrant(double r, u64 number) {
  double value = (number & 1) != 0 ? cosine_series(r) : sine_series(r);
  return (number & 2) != 0 ? -value : value;
}

}  // namespace

double exp(double x) {
  if (x < -708) return 0;
  if (x > 709) x = 709;
  double shifted = x * kLog2E + kMagic;
  double n = shifted - kMagic;
  double r = x - n * kLn2High;
  r = r - n * kLn2Low;
  double sum = 1;
  for (int k = 14; k >= 1; k--) sum = 1 + r / k * sum;
  return std::bit_cast<double>(std::bit_cast<u64>(sum) + (std::bit_cast<u64>(shifted) << 52));
}

// Writes x as 2^e m with m in [0.7, 1.5); log m = 2 artanh((m - 1) / (m + 1)).
double log(double x) {
  u64 bits = std::bit_cast<u64>(x);
  i64 exponent = static_cast<i64>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & ((u64{1} << 52) - 1)) | u64{1023} << 52);
  if (m > 1.4142135623730951) {
    m = m / 2;
    exponent++;
  }
  double s = (m - 1) / (m + 1), square = s * s, sum = 0;
  for (int k = 25; k >= 3; k -= 2) sum = square * (1.0 / k + sum);
  double e = static_cast<double>(exponent);
  return e * kLn2High + (2 * (s + s * sum) + e * kLn2Low);
}

double pow(double x, double y) {
  return exp(y * log(x));
}

double sin(double x) {
  Quadrant q = reduce(x);
  return in_quadrant(q.r, q.number);
}

double cos(double x) {
  Quadrant q = reduce(x);
  return in_quadrant(q.r, q.number + 1);
}

double tanh(double x) {
  if (x < 0) return -tanh(-x);
  double e = exp(-2 * x);
  return (1 - e) / (1 + e);
}

}  // namespace ai::real
