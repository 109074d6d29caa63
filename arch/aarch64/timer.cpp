// SPDX-License-Identifier: GPL-2.0-or-later
// The generic timer: its counter's rate is told, so nothing has to be measured. Arm ARM D12.
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
constexpr u64 kEventsPerSecond = 4000;  // no waiter looks at the clock more seldom

}  // namespace

TickRate Cpu::tick_rate() {
  u64 hertz = READ_SYSTEM("cntfrq_el0") & 0xffff'ffff;
  if (hertz != 0) return {hertz, "cntfrq"};
  // Where nothing tells the time: deadlines come, seconds are wrong.
  log::warn("clock", "the firmware did not set CNTFRQ: times are guessed and may be wrong");
  return {62'500'000, "a guess"};
}

void Cpu::set_timer(u64 ticks) {
  if (ticks == 0) return WRITE_SYSTEM("cntv_ctl_el0", 0);
  WRITE_SYSTEM("cntv_cval_el0", ticks);
  WRITE_SYSTEM("cntv_ctl_el0", kOn);
}

// The stream is a bit of the counter that changes: it does twice for a period.
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
