// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's part of kernel/irq: vectors, lines and messages. Called on CPU 0 by threads;
// mask_line() also by interrupt handlers. Nothing here sleeps.
#pragma once

#include <arch/pci_config.h>

#include "kernel/base/result.h"

namespace arch::interrupts {

// 0..31 are faults, 32..47 are left for a stray legacy controller, and from 0xf0 on are the CPU's
// own.
constexpr u32 kFirstDeviceVector = 0x30, kLastDeviceVector = 0xef;

// The address and data that a device writes to raise a vector on CPU 0.
struct Message {
  u64 address;
  u32 data;
};
Result<Message> message(u32 vector, const pci_config::Function& device);
inline void forget_message(u32) {}  // a vector is its own message: nothing was set up

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
// Wires an old device's fixed number (1 = keyboard, 4 = COM1), as the firmware rewired it, to a
// vector, unmasked.
Result<void> route_isa(u32 isa_line, u32 vector);

}  // namespace arch::interrupts
