// SPDX-License-Identifier: GPL-2.0-or-later
// Our exp, log, pow, sin, cos against the C library's, within the errors their headers state.
#include <cmath>
#include <limits>

#include "ai/math/exp.h"
#include "ai/math/real.h"
#include "kernel/base/test.h"

namespace {

double relative(double got, double wanted) {
  return std::fabs(got - wanted) / std::fabs(wanted);
}

}  // namespace

TEST(math, exp_of_floats) {
  double worst = 0;
  for (i32 i = -870000; i <= 883700; i++) {
    float x = static_cast<float>(i) * 1e-4f;
    if (x < ai::kExpLowest) continue;
    worst = std::fmax(worst, relative(ai::exp(x), std::exp(static_cast<double>(x))));
  }
  EXPECT(worst < 1.1e-7);
  EXPECT(worst > 5e-8);  // a stale bound otherwise
  EXPECT(ai::exp(0.0f) == 1.0f && ai::exp(-0.0f) == 1.0f);
  EXPECT(ai::exp(-87.01f) == 0.0f);
  EXPECT(ai::exp(-std::numeric_limits<float>::infinity()) == 0.0f);
  EXPECT(std::isfinite(ai::exp(std::numeric_limits<float>::infinity())));
  EXPECT(std::isnan(ai::exp(std::nanf(""))));
  static_assert(ai::exp(1.0f) > 2.718281f && ai::exp(1.0f) < 2.718283f);
}

TEST(math, functions_of_doubles) {
  double worst_exp = 0, worst_log = 0, worst_sin = 0, worst_cos = 0, worst_pow = 0, worst_tanh = 0;
  for (i32 i = 1; i <= 200000; i++) {
    double x = i * 0.00345 - 345;
    worst_exp = std::fmax(worst_exp, relative(ai::real::exp(x), std::exp(x)));
    double positive = i * 0.731;
    worst_log = std::fmax(worst_log, relative(ai::real::log(positive), std::log(positive)));
    worst_sin = std::fmax(worst_sin, std::fabs(ai::real::sin(positive) - std::sin(positive)));
    worst_cos = std::fmax(worst_cos, std::fabs(ai::real::cos(-positive) - std::cos(-positive)));
    double y = -i / 200000.0;
    worst_pow = std::fmax(worst_pow, relative(ai::real::pow(500000, y), std::pow(500000, y)));
    double t = i * 1e-4 - 10;
    worst_tanh = std::fmax(worst_tanh, std::fabs(ai::real::tanh(t) - std::tanh(t)));
  }
  EXPECT(worst_exp < 1e-15);
  EXPECT(worst_log < 1e-15);
  EXPECT(worst_sin < 1e-15);
  EXPECT(worst_cos < 1e-15);
  EXPECT(worst_pow < 4e-15);
  EXPECT(worst_tanh < 1e-15);
  EXPECT(ai::real::exp(-800) == 0 && ai::real::exp(0) == 1);
  EXPECT(ai::real::sin(0) == 0 && ai::real::cos(0) == 1);
}
