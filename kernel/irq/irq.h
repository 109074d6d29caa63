// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupt vectors for devices: who uses which one, and how a device's line or message reaches it.
//
// A handler runs on CPU 0, with interrupts off, on its own stack. It may only record and wake.
#pragma once

#include "kernel/arch_machine.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace irq {

using Handler = void (*)(void* context);

// Allocates a vector for this handler. `name` is kept, not copied. For threads.
Result<u32> allocate(const char* name, Handler handler, void* context);
void release(u32 vector);

// Returns the message of `device`, one with message-signalled interrupts (MSI, MSI-X). For threads.
using Message = arch::interrupts::Message;
Result<Message> message(u32 vector, const arch::pci_config::Function& device);

enum class Trigger : u8 { kEdge, kLevel };
enum class Polarity : u8 { kHigh, kLow };

// Connects a line of the interrupt controller to a vector and unmasks it.
Result<void> route_line(u32 global_line, u32 vector, Trigger trigger, Polarity polarity);
void mask_line(u32 global_line);

// Called by the architecture for each interrupt that is not a fault.
void dispatch(u32 vector);

// Prints one row per used vector, with its count.
void list(base::Writer& out);

}  // namespace irq
