// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's half of kernel/irq: vectors, lines and messages. A line is what the GIC calls a
// shared interrupt (INTID 32 to 1019); vectors are ours.
#pragma once

#include <arch/pci_config.h>

#include "kernel/base/result.h"

namespace arch::interrupts {

constexpr u32 kFirstDeviceVector = 0x30, kLastDeviceVector = 0xef;

struct Message {
  u64 address = 0;
  u32 data = 0;
};
// An ITS knows devices apart: a message of another one would be lost.
Result<Message> message(u32 vector, const pci_config::Function& device);
// Lines and translations stay the vector's own; a late message finds no handler.
inline void forget_message(u32) {}

struct Route {
  u32 vector = 0;
  bool level = false;
  bool active_low = false;  // the GIC knows no polarity: lines come to it as it wants them
};
Result<void> route_line(u32 line, Route route);
void mask_line(u32 line);

}  // namespace arch::interrupts
