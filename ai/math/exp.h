// SPDX-License-Identifier: GPL-2.0-or-later
// The exponential function of the token path. Scalar code and every SIMD table compute the same
// bits (wiki/Numerics, rule 5): only multiplications and additions, each rounded on its own.
//
// Relative error below 1.1e-7 on [-87, 88.37]. Below -87 the result is 0, above 88.37 it stays at
// exp(88.37) = 2.39e38, so that it is always finite. NaN gives NaN.
#pragma once

#include <bit>

#include "kernel/base/types.h"

namespace ai {

// SIMD files repeat these constants and steps.
constexpr float kExpLowest = -87.0f;
constexpr float kExpHighest = 88.37f;
constexpr float kExpLog2E = 0x1.715476p+0f;  // 1 / ln 2
// Adding 1.5 * 2^23 rounds to an integer, half to even, and leaves it in the low mantissa bits.
constexpr float kExpMagic = 12582912.0f;
constexpr float kExpLn2High = 0.693359375f;    // ln 2 in two parts; the first has 9 bits, so that
constexpr float kExpLn2Low = -2.12194440e-4f;  // its product with |n| <= 127 is exact
// exp(r) = 1 + r + r^2 (c0 + c1 r + c2 r^2 + c3 r^3 + c4 r^4), minimax on |r| <= ln 2 / 2
constexpr float kExpCoefficients[5] = {0x1.fffffcp-2f, 0x1.55549p-3f, 0x1.5558f4p-5f,
                                       0x1.123a24p-7f, 0x1.6a23b2p-10f};

constexpr float exp(float x) {
  // Clamps as maxps(lowest, x) and minps(highest, x) do: a NaN in x stays.
  float t = kExpLowest > x ? kExpLowest : x;
  t = kExpHighest < t ? kExpHighest : t;
  float shifted = t * kExpLog2E + kExpMagic;
  float n = shifted - kExpMagic;
  float r = t - n * kExpLn2High;
  r = r - n * kExpLn2Low;
  float p = kExpCoefficients[4];
  for (int k = 3; k >= 0; k--) p = p * r + kExpCoefficients[k];
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // Adds n to the exponent. The shift drops everything in `shifted` but the integer.
  float y = std::bit_cast<float>(std::bit_cast<u32>(p) + (std::bit_cast<u32>(shifted) << 23));
  return x < kExpLowest ? 0.0f : y;
}

}  // namespace ai
