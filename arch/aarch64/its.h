// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the interrupt translation service, which tells messages apart by their device. ARM IHI
// 0069, chapter 5 and 12.19.
#pragma once

#include <arch/interrupts.h>

#include "boot/hardware.h"

namespace arch::its {

// Returns the message that `device` writes to raise `vector`. `device` is its number at the unit at
// `base`; `redistributor` is CPU 0's. Allocates; thread context of CPU 0.
Result<interrupts::Message> message(u64 base, u32 device, u32 vector, u64 redistributor);

}  // namespace arch::its
