// SPDX-License-Identifier: GPL-2.0-or-later
// Converts ticks to nanoseconds by multiplying with fixed-point factors. After init() there is no
// division.
#include "kernel/time/clock.h"

#include "kernel/arch_contract.h"

namespace timing {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;

// value * whole + (value * fraction) / 2^64: accurate to 1 in 2^64 a second, without 128-bit
// division.
struct Factor {
  u64 whole = 1, fraction = 0;

  // Computes numerator / denominator by long division of the remainder, 64 bits.
  static Factor of(u64 numerator, u64 denominator) {
    Factor f{numerator / denominator, 0};
    u64 rest = numerator % denominator;
    for (int bit = 63; bit >= 0; bit--) {
      bool carry = (rest >> 63) != 0;
      rest <<= 1;
      if (carry || rest >= denominator) {
        rest -= denominator;
        f.fraction |= u64{1} << bit;
      }
    }
    return f;
  }
  u64 apply(u64 value) const {
    auto part = static_cast<unsigned __int128>(value) * fraction;
    return value * whole + static_cast<u64>(part >> 64);
  }
};

Factor to_ns, to_ticks;
u64 start_ticks = 0;
// Before init() a tick counts as a nanosecond: early log lines have an order, but no time.
TickRate rate{kNsPerSecond, "uncalibrated"};

}  // namespace

void init(u64 entry_ticks) {
  TickRate measured = arch::Cpu::tick_rate();
  start_ticks = entry_ticks;
  if (measured.per_second == 0) return;
  rate = measured;
  to_ns = Factor::of(kNsPerSecond, rate.per_second);
  to_ticks = Factor::of(rate.per_second, kNsPerSecond);
}

u64 now_ns() {
  return ns_from_ticks(arch::Cpu::now_ticks() - start_ticks);
}
u64 ticks_from_ns(u64 ns) {
  return to_ticks.apply(ns);
}
u64 ns_from_ticks(u64 ticks) {
  return to_ns.apply(ticks);
}
u64 ticks_at(u64 ns) {
  // A deadline of "never" must not wrap into the past.
  u64 ticks = ns == ~u64{0} ? ~u64{0} - start_ticks : to_ticks.apply(ns);
  return start_ticks + ticks;
}
u64 ticks_per_second() {
  return rate.per_second;
}
const char* calibration_source() {
  return rate.source;
}

}  // namespace timing
