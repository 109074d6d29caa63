// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the rate of the cycle counter: from CPUID, or measured against HPET, ACPI timer or PIT.
#include <arch/paging.h>
#include <arch/port_io.h>
#include <arch/registers.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/platform.h"
#include "kernel/arch_contract.h"
#include "kernel/log.h"

namespace arch {
namespace {

// Long enough for an error below 100 ppm if a read takes a microsecond, short enough for a prompt
// within 0.3 s.
constexpr u64 kWindowMicroseconds = 8'000;

// A clock of known rate.
struct Reference {
  const char* name;
  u64 hertz;
  u64 mask;  // its counter wraps after this value
  u64 (*read)();
};

constinit u64 hpet_base = 0;
constinit u16 pm_timer_port = 0;

u64 read_hpet() {
  // The low half is enough: at 100 MHz it wraps after 42 s.
  return *reinterpret_cast<volatile u32*>(hpet_base + 0xf0);
}
u64 read_pm_timer() {
  return in32(pm_timer_port);
}
u64 read_pit() {
  out8(0x43, 0);  // latch channel 0
  u8 low = in8(0x40);
  return 0xffff - (u32{in8(0x40)} << 8 | low);  // it counts down
}

// IA-PC HPET Specification 1.0a, 2.3.
bool open_hpet(Reference& out) {
  hpet_base = firmware().hpet;
  if (hpet_base == 0 || !paging::map_device(hpet_base, paging::kPageBytes).has_value())
    return false;
  u64 period_fs = *reinterpret_cast<volatile u32*>(hpet_base + 4);
  constexpr u64 kMaxPeriodFs = 100'000'000, kFsPerSecond = 1'000'000'000'000'000;
  if (period_fs == 0 || period_fs > kMaxPeriodFs) return false;
  auto* config = reinterpret_cast<volatile u32*>(hpet_base + 0x10);
  *config = *config | 1;  // starts it
  out = {"hpet", kFsPerSecond / period_fs, 0xffffffff, read_hpet};
  return true;
}

bool open_pm_timer(Reference& out) {
  const acpi::Register& r = firmware().fixed.pm_timer;
  if (r.bytes == 0 || r.space != acpi::Register::Space::kPort) return false;
  pm_timer_port = static_cast<u16>(r.address);
  constexpr u64 kHertz = 3'579'545;
  out = {"acpi-pm", kHertz, 0xffffff, read_pm_timer};
  return true;
}

bool open_pit(Reference& out) {
  out8(0x43, 0x34);  // channel 0, both bytes, rate generator
  out8(0x40, 0);     // the longest period: 65536 counts, 55 ms
  out8(0x40, 0);
  constexpr u64 kHertz = 1'193'182;
  out = {"pit", kHertz, 0xffff, read_pit};
  return true;
}

// One moment on both clocks. Of a few attempts the one with the shortest read is the most accurate.
struct Moment {
  u64 ticks;
  u64 reference;
};
Moment moment(const Reference& clock) {
  Moment best{};
  u64 shortest = ~u64{0};
  for (u32 i = 0; i < 5; i++) {
    u64 before = Cpu::now_ticks();
    u64 value = clock.read();
    u64 after = Cpu::now_ticks();
    if (after - before >= shortest) continue;
    shortest = after - before;
    best = {before + (after - before) / 2, value};
  }
  return best;
}

// Many windows long on any CPU. If nothing changed by then, the clock stands still.
constexpr u64 kPatienceTicks = 1'000'000'000;

// Measures one window, and also compares the interrupt controller's timer with the cycle counter.
// Returns 0 if the clock stands still.
u64 measure(const Reference& clock) {
  u64 wanted = clock.hertz * kWindowMicroseconds / 1'000'000;
  apic::start_count();
  u64 apic_start = Cpu::now_ticks();
  Moment start = moment(clock);
  while (((clock.read() - start.reference) & clock.mask) < wanted) {
    if (Cpu::now_ticks() - apic_start > kPatienceTicks) return 0;
    Cpu::relax();
  }
  Moment end = moment(clock);
  u64 counts = apic::count_elapsed();
  u64 apic_ticks = Cpu::now_ticks() - apic_start;
  apic::set_timer_rate((counts << 32) / apic_ticks);
  u64 passed = (end.reference - start.reference) & clock.mask;
  return (end.ticks - start.ticks) * clock.hertz / passed;
}

// Leaf 15h has the counter's ratio to a crystal of known rate (Intel SDM vol. 3, 19.7.3); leaf
// 40000010h has the rate in kHz according to a hypervisor. It is used only with a deadline timer,
// because the other timer must be measured anyway.
u64 rate_from_cpuid() {
  bool deadline_timer = (cpuid(1).c >> 24 & 1) != 0;
  if (!deadline_timer) return 0;
  if (cpuid(0).a >= 0x15) {
    CpuidResult r = cpuid(0x15);
    if (r.a != 0 && r.b != 0 && r.c != 0) return u64{r.c} * r.b / r.a;
  }
  bool hypervisor = (cpuid(1).c >> 31 & 1) != 0;
  if (hypervisor && cpuid(0x40000000).a >= 0x40000010) return u64{cpuid(0x40000010).a} * 1000;
  return 0;
}

// Used if there is no clock: deadlines still expire, but seconds are wrong. Leaf 16h has the base
// frequency.
TickRate guess() {
  constexpr u64 kHertz = 2'000'000'000, kWindowTicks = 16'000'000;
  apic::start_count();
  u64 start = Cpu::now_ticks();
  while (Cpu::now_ticks() - start < kWindowTicks) Cpu::relax();
  u64 counts = apic::count_elapsed();
  apic::set_timer_rate((counts << 32) / (Cpu::now_ticks() - start));
  u64 megahertz = cpuid(0).a >= 0x16 ? cpuid(0x16).a & 0xffff : 0;
  log::warn("clock", "no HPET, ACPI timer or PIT runs: times are guessed and may be wrong");
  return {megahertz != 0 ? megahertz * 1'000'000 : kHertz, "a guess"};
}

TickRate calibrate() {
  if (u64 hertz = rate_from_cpuid(); hertz != 0) {
    apic::set_timer_rate(0);
    return {hertz, "cpuid"};
  }
  Reference clock{};
  for (auto open : {open_hpet, open_pm_timer, open_pit}) {
    if (!open(clock)) continue;
    if (u64 hertz = measure(clock); hertz != 0) return {hertz, clock.name};
    log::warn("clock", "{} stands still", clock.name);
  }
  return guess();
}

}  // namespace

TickRate Cpu::tick_rate() {
  static constinit TickRate rate{0, nullptr};
  if (rate.source == nullptr) rate = calibrate();
  return rate;
}

}  // namespace arch
