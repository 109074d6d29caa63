// SPDX-License-Identifier: GPL-2.0-or-later
// e^x and floats in integers against libm.
#include "console/chat/fixed_point.h"

#include <bit>
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

TEST(console_fixed_point, floats_as_millionths) {
  EXPECT_EQ(console::float_bits_to_micro(std::bit_cast<u32>(1.0f)), i64{1'000'000});
  EXPECT_EQ(console::float_bits_to_micro(std::bit_cast<u32>(-0.5f)), i64{-500'000});
  EXPECT_EQ(console::float_bits_to_micro(0x7fc00000), i64{0});
  EXPECT_EQ(console::float_bits_to_micro(0x7f800000), i64{1} << 40);
  EXPECT_EQ(console::float_bits_to_micro(0xff800000), -(i64{1} << 40));
  u32 state = 1;
  for (u32 i = 0; i < 20'000; i++) {
    state = state * 1664525 + 1013904223;
    float value = std::bit_cast<float>((state & 0x81ffffff) | 0x3c000000);  // 2^-7 to 2^-3 and up
    double wanted = std::nearbyint(static_cast<double>(value) * 1e6);
    double got = static_cast<double>(console::float_bits_to_micro(std::bit_cast<u32>(value)));
    if (std::fabs(got - wanted) > 1) EXPECT_EQ(std::bit_cast<u32>(value), 0u);
  }
}
