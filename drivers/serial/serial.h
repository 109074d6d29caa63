// SPDX-License-Identifier: GPL-2.0-or-later
// The serial line of the console. One driver of this folder is linked, the one for the chip that
// this architecture's machines have (scripts/mk/arch).
#pragma once

#include "boot/boot_info.h"
#include "kernel/dev/char_device.h"

namespace serial {

// Sets the line to 8N1. Works before anything else; polled. Any context.
void init(const BootConsole& port);
bool present();
// Polled: waits for the line, needs nothing but the port. Panic context included.
void write(std::string_view text);
// The next received byte or -1.
int read();

// From here on received bytes are kept by the interrupt and a waiting reader is woken. Call it
// before terminal::add, which asks whether the device announces its input.
Result<void> enable_interrupt();

CharDevice& device();

}  // namespace serial
