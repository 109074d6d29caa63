// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the local APIC by memory or by MSR. Intel SDM vol. 3, chapter 11.
#include "arch/x86_64/apic.h"

#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

namespace arch {
namespace apic {
namespace {

// Register offsets (table 11-1); the x2APIC's MSR is 0x800 + offset / 16.
constexpr u32 kId = 0x20, kTaskPriority = 0x80, kEndOfInterrupt = 0xb0, kSpurious = 0xf0,
              kErrorStatus = 0x280, kCommandLow = 0x300, kCommandHigh = 0x310, kTimer = 0x320,
              kThermal = 0x330, kPerformance = 0x340, kLine0 = 0x350, kLine1 = 0x360,
              kError = 0x370, kInitialCount = 0x380, kCurrentCount = 0x390, kDivide = 0x3e0;
constexpr u32 kMasked = 1 << 16;
constexpr u32 kDeadlineMode = 2 << 17;
constexpr u32 kDivideBy1 = 0xb;
constexpr u64 kBaseEnable = 1 << 11, kBaseX2 = 1 << 10;
constexpr u64 kFallbackBase = 0xfee00000;

constinit u64 mmio_base = 0;
constinit bool x2 = false;
constinit bool deadline_timer = false;
constinit u64 counts_per_tick = 0;  // fixed point, 32.32

u32 read(u32 offset) {
  if (x2) return static_cast<u32>(read_msr(msr::kX2ApicBase + offset / 16));
  return *reinterpret_cast<volatile u32*>(mmio_base + offset);
}

void write(u32 offset, u32 value) {
  if (x2)
    write_msr(msr::kX2ApicBase + offset / 16, value);
  else
    *reinterpret_cast<volatile u32*>(mmio_base + offset) = value;
}

void send(u32 apic_id, u32 command) {
  if (x2) return write_msr(msr::kX2ApicBase + kCommandLow / 16, u64{apic_id} << 32 | command);
  constexpr u32 kPending = 1 << 12;
  while ((read(kCommandLow) & kPending) != 0) Cpu::relax();
  write(kCommandHigh, apic_id << 24);
  write(kCommandLow, command);
}

constexpr u32 kAssert = 1 << 14;

}  // namespace

void init(u64 base) {
  mmio_base = base != 0 ? base : kFallbackBase;
  CpuidResult features = cpuid(1);
  x2 = (features.c >> 21 & 1) != 0;
  deadline_timer = (features.c >> 24 & 1) != 0;
  if (!x2) MUST(paging::map_device(mmio_base, paging::kPageBytes));
}

void enable() {
  u64 base = read_msr(msr::kApicBase) | kBaseEnable;
  write_msr(msr::kApicBase, base);
  if (x2) write_msr(msr::kApicBase, base | kBaseX2);
  for (u32 entry : {kThermal, kPerformance, kLine0, kLine1, kError}) write(entry, kMasked);
  write(kTaskPriority, 0);
  write(kErrorStatus, 0);
  write(kSpurious, 1 << 8 | kSpuriousVector);
  write(kDivide, kDivideBy1);
  write(kTimer, deadline_timer ? kDeadlineMode | kTimerVector : kTimerVector);
}

u32 id() {
  return x2 ? read(kId) : read(kId) >> 24;
}

void end_of_interrupt() {
  write(kEndOfInterrupt, 0);
}

u32 first_unreachable() {
  return x2 ? ~u32{0} : 0xff;
}

bool is_x2apic() {
  return x2;
}

// Delivery modes of the command register, 11.6.1.
void send_init(u32 apic_id) {
  send(apic_id, kAssert | 5 << 8);
}
void send_startup(u32 apic_id, u64 page) {
  send(apic_id, kAssert | 6 << 8 | static_cast<u32>(page >> 12));
}
void send_nmi(u32 apic_id) {
  send(apic_id, kAssert | 4 << 8);
}
void send_wake(u32 apic_id) {
  send(apic_id, kAssert | kWakeVector);
}

void start_count() {
  if (deadline_timer) return;
  write(kTimer, kMasked);
  write(kInitialCount, ~u32{0});
}

u32 count_elapsed() {
  return deadline_timer ? 0 : ~u32{0} - read(kCurrentCount);
}

void set_timer_rate(u64 counts_per_tick_32_32) {
  counts_per_tick = counts_per_tick_32_32;
  if (deadline_timer) return;
  write(kInitialCount, 0);
  write(kTimer, kTimerVector);
}

}  // namespace apic

void Cpu::set_timer(u64 ticks) {
  using namespace apic;
  if (deadline_timer) return write_msr(msr::kTscDeadline, ticks);
  if (ticks == 0) return write(kInitialCount, 0);
  u64 now = now_ticks();
  u64 left = ticks > now ? ticks - now : 1;
  // Far deadlines expire early; the sleeper looks at the clock and sets the timer again.
  constexpr u64 kFar = u64{1} << 31;
  u64 counts = std::min(left, kFar) * (counts_per_tick >> 8) >> 24;
  write(kInitialCount, static_cast<u32>(std::clamp(counts, u64{1}, u64{0xffffffff})));
}

}  // namespace arch
