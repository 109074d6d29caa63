// SPDX-License-Identifier: GPL-2.0-or-later
// The clock's arithmetic: conversions agree, nothing wraps, it only goes forward.
#include "kernel/time/clock.h"
#include "kernel/arch_contract.h"
#include "kernel/base/test.h"

TEST(timing, conversions_agree_over_decades) {
  timing::init(arch::Cpu::now_ticks());
  EXPECT_EQ(timing::ticks_per_second(), 1'000'000'000u);
  constexpr u64 kYear = u64{365} * 24 * 3600 * 1'000'000'000;
  for (u64 ns : {u64{0}, u64{1}, u64{999}, u64{1'000'000'007}, kYear, 30 * kYear}) {
    EXPECT_EQ(timing::ns_from_ticks(timing::ticks_from_ns(ns)), ns);
    EXPECT_EQ(timing::ticks_at(ns) - timing::ticks_at(0), timing::ticks_from_ns(ns));
  }
}

TEST(timing, never_is_later_than_now) {
  timing::init(arch::Cpu::now_ticks());
  EXPECT(timing::ticks_at(~u64{0}) > arch::Cpu::now_ticks());
  u64 before = timing::now_ns();
  for (u32 i = 0; i < 1000; i++) {
    u64 now = timing::now_ns();
    EXPECT(now >= before);
    before = now;
  }
}
