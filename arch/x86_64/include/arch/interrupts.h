// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's part of kernel/irq: vectors, lines and messages.
#pragma once

#include "kernel/base/result.h"

namespace arch::interrupts {

// 0..31 are faults, 32..47 are left for a stray legacy controller, and from 0xf0 on are the CPU's
// own.
constexpr u32 kFirstDeviceVector = 0x30, kLastDeviceVector = 0xef;

u64 message_address();  // of CPU 0

enum class Delivery : u8 { kVector, kNmi };
struct Route {
  u32 vector = 0;  // unused for an NMI
  bool level = false;
  bool active_low = false;
  Delivery delivery = Delivery::kVector;
};
Result<void> route_line(u32 global_line, Route route);
void mask_line(u32 global_line);

// The firmware's description of an old device's fixed line.
struct IsaLine {
  u32 global_line;
  bool level;
  bool active_low;
};
IsaLine isa_line(u32 isa_line);

}  // namespace arch::interrupts
