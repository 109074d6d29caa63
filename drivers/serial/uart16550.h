// SPDX-License-Identifier: GPL-2.0-or-later
// The first serial line (COM1) as a console device. TI PC16550D data sheet.
#pragma once

#include "kernel/dev/char_device.h"

namespace serial {

// Sets the line to 115200 8N1. Polled; works before anything else. Any context.
void init();
bool present();
// Waits for the line by polling, and needs nothing but the port. Any context, including a panic.
void write(std::string_view text);
// Returns the next received byte, or -1.
int read();

// From here on the interrupt stores received bytes and wakes a waiting reader. Call it before
// terminal::add(), which asks whether the device announces its input.
Result<void> enable_interrupt();

CharDevice& device();

}  // namespace serial
