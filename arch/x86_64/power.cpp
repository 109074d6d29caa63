// SPDX-License-Identifier: GPL-2.0-or-later
// Turns the machine off and restarts it. ACPI 6.5, 4.8.3 (registers) and 7.4.2 (S5).
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/port_io.h>

#include "arch/x86_64/platform.h"
#include "arch/x86_64/power.h"

namespace arch {
namespace {

void write(const acpi::Register& r, u32 value) {
  if (r.bytes == 0) return;
  if (r.space == acpi::Register::Space::kPort) {
    auto port = static_cast<u16>(r.address);
    if (r.bytes == 1) out8(port, static_cast<u8>(value));
    if (r.bytes == 2) out16(port, static_cast<u16>(value));
    if (r.bytes == 4) out32(port, value);
  } else if (r.space == acpi::Register::Space::kMemory &&
             paging::map_device(r.address, r.bytes).has_value()) {
    if (r.bytes == 1) *reinterpret_cast<volatile u8*>(r.address) = static_cast<u8>(value);
    if (r.bytes == 2) *reinterpret_cast<volatile u16*>(r.address) = static_cast<u16>(value);
    if (r.bytes == 4) *reinterpret_cast<volatile u32*>(r.address) = value;
  }
}

void wait_a_moment() {
  constexpr u64 kTicks = 200'000'000;  // about 50 to 100 ms, because the chipset takes its time
  for (u64 end = Cpu::now_ticks() + kTicks; Cpu::now_ticks() < end;) Cpu::relax();
}

// Uses QEMU's isa-debug-exit, which ends the process with status 2 * code + 1. Elsewhere the port
// has no device.
void exit_emulator(u32 code) {
  constexpr u16 kPort = 0xf4;
  out32(kPort, code);
}

void enter_s5(const acpi::FixedHardware& f) {
  if (f.reduced) {
    constexpr u32 kSleepEnable = 1 << 5;
    return write(f.sleep_control, kSleepEnable | u32{f.s5_a} << 2);
  }
  constexpr u16 kSleepEnable = 1 << 13;
  enable_acpi();
  // The register is 16 bits wide, whatever length the table gives.
  auto sleep = [&](acpi::Register r, u8 kind) {
    if (r.bytes == 0) return;
    r.bytes = 2;
    write(r, kSleepEnable | u32{kind} << 10);
  };
  sleep(f.pm1a_control, f.s5_a);
  sleep(f.pm1b_control, f.s5_b);
}

}  // namespace

// ACPI 6.5, 4.8.3.2.1: SCI_EN follows the command, on some boards after seconds.
void enable_acpi() {
  const acpi::FixedHardware& f = firmware().fixed;
  if (f.pm1a_control.space != acpi::Register::Space::kPort || f.pm1a_control.bytes == 0) return;
  auto is_on = [&f] {
    constexpr u16 kAcpiMode = 1 << 0;
    return (in16(static_cast<u16>(f.pm1a_control.address)) & kAcpiMode) != 0;
  };
  if (is_on() || f.smi_command == 0 || f.acpi_enable == 0) return;
  out8(f.smi_command, f.acpi_enable);
  for (u32 i = 0; i < 30 && !is_on(); i++) wait_a_moment();
}

void Cpu::power_off(u32 code) {
  disable_interrupts();
  if (code != 0) exit_emulator(code);
  const acpi::FixedHardware& f = firmware().fixed;
  if (f.present && f.has_s5) {
    enter_s5(f);
    wait_a_moment();
  }
  // Without a working S5, QEMU's exit device still ends the machine, with status 1.
  exit_emulator(0);
}

void Cpu::reboot() {
  disable_interrupts();
  // A reset may drop what is in the caches only; the record of a trial must reach RAM.
  asm volatile("wbinvd" : : : "memory");
  const acpi::FixedHardware& f = firmware().fixed;
  write(f.reset, f.reset_value);
  wait_a_moment();
  constexpr u16 kKeyboardCommand = 0x64;
  constexpr u8 kPulseReset = 0xfe;
  if (!f.present || f.has_8042) out8(kKeyboardCommand, kPulseReset);
  wait_a_moment();
  // There is no interrupt table: the next fault becomes a triple fault, which resets any x86.
  struct [[gnu::packed]] {
    u16 limit = 0;
    u64 base = 0;
  } none;
  asm volatile("lidt %0; ud2" : : "m"(none));
}

}  // namespace arch
