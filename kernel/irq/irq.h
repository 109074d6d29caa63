// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupt vectors for devices: who uses which one, and how a device's line or message reaches it.
//
// A handler runs on CPU 0, with interrupts off, on its own stack. It may only record and wake.
#pragma once

#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace irq {

using Handler = void (*)(void* context);

// Allocates a vector for this handler. `name` is kept, not copied. For threads.
Result<u32> allocate(const char* name, Handler handler, void* context);
void release(u32 vector);

// The address and value that a device with message-signalled interrupts (MSI, MSI-X) writes.
struct Message {
  u64 address;
  u32 data;
};
Message message(u32 vector);

enum class Trigger : u8 { kEdge, kLevel };
enum class Polarity : u8 { kHigh, kLow };

// Connects a line of the interrupt controller to a vector and unmasks it.
Result<void> route_line(u32 global_line, u32 vector, Trigger trigger, Polarity polarity);
// Does the same for an old device's fixed number (1 = keyboard, 4 = COM1), as rewired by the
// firmware.
Result<void> route_isa(u32 isa_line, u32 vector);
void mask_line(u32 global_line);

// Called by the architecture for each interrupt that is not a fault.
void dispatch(u32 vector);

// Prints one row per used vector, with its count.
void list(base::Writer& out);

}  // namespace irq
