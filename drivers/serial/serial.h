// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the serial line of the console, by the driver of the chip that the firmware names.
#pragma once

#include "boot/boot_info.h"
#include "kernel/dev/char_device.h"

namespace serial {

// Sets the line to 8N1, and its rate to 115200 unless only the firmware can set that. Polled; works
// before anything else. Any context.
void init(const BootConsole& port);
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
