// SPDX-License-Identifier: GPL-2.0-or-later
// e^x in integers against libm.
#include "console/fixed_point.h"

#include <cmath>

#include "kernel/base/test.h"

TEST(console_fixed_point, exp) {
  EXPECT_EQ(console::exp_milli(0), u64{1000});
  for (u64 micro = 0; micro < 30'000'000; micro += 12'347) {
    double wanted = std::exp(static_cast<double>(micro) / 1e6) * 1000;
    double got = static_cast<double>(console::exp_milli(micro));
    double off = std::fabs(got - wanted);
    if (off > 2 && off > wanted * 3e-8) EXPECT_EQ(micro, u64{0});
  }
  EXPECT_EQ(console::exp_milli(~u64{0}), console::exp_milli(30'000'000));
}
