// SPDX-License-Identifier: GPL-2.0-or-later
// Uses the old interval timer as a source of NMIs. Intel 8254 data sheet; 82093AA (I/O APIC),
// 3.2.4.
//
// Mode 0 is a one-shot timer: the output rises when the count ends, and stays up until a new count
// is written. So the handler can distinguish the watch's NMI (output up) from one that means
// trouble.
#include "arch/x86_64/watch.h"

#include <arch/cpu.h>
#include <arch/interrupts.h>
#include <arch/port_io.h>

#include "kernel/panic.h"
#include "kernel/trial.h"

namespace arch {
namespace watch {
namespace {

constexpr u16 kChannel0 = 0x40, kCommand = 0x43;
constexpr u8 kOneShot = 0x30;       // channel 0, low byte then high byte, mode 0
constexpr u8 kReadStatus = 0xe2;    // of channel 0
constexpr u8 kOutput = 0x80;        // of the status
constexpr u8 kLongestCount = 0xff;  // both bytes: 65535 / 1.193182 MHz = 55 ms

using Tick = void (*)();
constinit Tick on_tick = nullptr;
constinit const TrapFrame* frame_of_nmi = nullptr;

void arm() {
  out8(kCommand, kOneShot);
  out8(kChannel0, kLongestCount);
  out8(kChannel0, kLongestCount);
}

// Without a timer the port reads as all ones, which means expired.
bool expired() {
  out8(kCommand, kReadStatus);
  return (in8(kChannel0) & kOutput) != 0;
}

}  // namespace

bool take_nmi(const TrapFrame& frame) {
  if (on_tick == nullptr || Cpu::cpu_index() != 0 || !expired()) return false;
  // The machine stands still on purpose, so the timer is not armed again. A kernel on trial does
  // not stand still: if its panic hangs, its time ends all the same.
  if (panic_happened() && !trial::on()) return true;
  frame_of_nmi = &frame;
  on_tick();
  frame_of_nmi = nullptr;
  arm();
  return true;
}

const TrapFrame* interrupted() {
  return frame_of_nmi;
}

}  // namespace watch

Result<void> Cpu::watch_boot_cpu(void (*tick)()) {
  constexpr u32 kTimerLine = 0;
  watch::arm();
  if (watch::expired()) return fail(Errc::kNotFound, "no interval timer");
  interrupts::IsaLine line = interrupts::isa_line(kTimerLine);
  watch::on_tick = tick;
  return interrupts::route_line(line.global_line, {.delivery = interrupts::Delivery::kNmi});
}

}  // namespace arch
