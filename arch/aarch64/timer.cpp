// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the generic timer. CNTFRQ has the counter's rate, so nothing is measured. Arm ARM D12.
#include "arch/aarch64/timer.h"

#include <arch/registers.h>

#include <bit>

#include "arch/aarch64/platform.h"
#include "kernel/arch_contract.h"
#include "kernel/log.h"

namespace arch {
namespace {

constexpr u64 kOn = 1 << 0;
constexpr u64 kEventStream = 1 << 2;
constexpr u64 kEventsPerSecond = 4000;  // a waiter looks at the clock about so often

}  // namespace

TickRate Cpu::tick_rate() {
  u64 hertz = READ_SYSTEM("cntfrq_el0") & 0xffff'ffff;
  if (hertz != 0) return {hertz, "cntfrq"};
  // With a guessed rate deadlines still come, but seconds are wrong.
  log::warn("clock", "the firmware did not set CNTFRQ: times are guessed and may be wrong");
  return {62'500'000, "a guess"};
}

void Cpu::set_timer(u64 ticks) {
  if (ticks == 0) return WRITE_SYSTEM("cntv_ctl_el0", 0);
  WRITE_SYSTEM("cntv_cval_el0", ticks);
  WRITE_SYSTEM("cntv_ctl_el0", kOn);
}

// A bit of the counter makes the stream. It changes twice in a period, and one of the changes is an
// event.
void init_cpu_timer() {
  u64 period = Cpu::tick_rate().per_second / kEventsPerSecond;
  u64 bit = std::min<u64>(std::bit_width(period | 1) - 1, 15);
  WRITE_SYSTEM("cntkctl_el1", kEventStream | bit << 4);
}

bool take_timer(u32 number) {
  if (number != hardware().virtual_timer.line) return false;
  WRITE_SYSTEM("cntv_ctl_el0", 0);
  return true;
}

}  // namespace arch
