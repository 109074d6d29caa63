// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupt vectors for devices: who has which, and how a device's line or message reaches it.
//
// A handler runs on CPU 0 with interrupts off, on a stack of its own: it records and wakes.
#pragma once

#include "kernel/arch_machine.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace irq {

using Handler = void (*)(void* context);

// A free vector for this handler. `name` is kept, not copied. Thread context.
Result<u32> allocate(const char* name, Handler handler, void* context);
void release(u32 vector);

// What `device`, one with message-signalled interrupts (MSI, MSI-X), writes, and where. Thread
// context.
using Message = arch::interrupts::Message;
Result<Message> message(u32 vector, const arch::pci_config::Function& device);

enum class Trigger : u8 { kEdge, kLevel };
enum class Polarity : u8 { kHigh, kLow };

// Wires a line of the interrupt controller to a vector, unmasked.
Result<void> route_line(u32 global_line, u32 vector, Trigger trigger, Polarity polarity);
void mask_line(u32 global_line);

// Called by arch for each interrupt that is not a fault.
void dispatch(u32 vector);

// A row a vector in use, with its count.
void list(base::Writer& out);

}  // namespace irq
