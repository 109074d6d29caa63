// SPDX-License-Identifier: GPL-2.0-or-later
// Routes lines and messages to the vectors of kernel/irq. A line is what the GIC calls a shared
// interrupt (INTID 32 to 1019). Called on CPU 0 by threads; mask_line() also by interrupt handlers.
// Nothing here sleeps.
#pragma once

#include <arch/pci_config.h>

#include "kernel/base/result.h"

namespace arch::interrupts {

constexpr u32 kFirstDeviceVector = 0x30, kLastDeviceVector = 0xef;

struct Message {
  u64 address = 0;
  u32 data = 0;
};
// Returns the message by which `device` raises `vector`. An ITS tells devices apart, so the message
// of another device would be lost.
Result<Message> message(u32 vector, const pci_config::Function& device);
// Does nothing: the vector keeps its line or translation, and a late message finds no handler.
inline void forget_message(u32) {}

struct Route {
  u32 vector = 0;
  bool level = false;
  bool active_low = false;  // ignored, because the GIC has no setting for it
};
Result<void> route_line(u32 line, Route route);
void mask_line(u32 line);

}  // namespace arch::interrupts
