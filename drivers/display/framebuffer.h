// SPDX-License-Identifier: GPL-2.0-or-later
// The loader's framebuffer (GOP, VBE) as a text console.
//
// Pixels are only written, never read: reading write-combining memory is a hundred times slower. A
// grid of the drawn cells decides what must be drawn again.
#pragma once

#include "boot/boot_info.h"
#include "kernel/dev/char_device.h"

namespace display {

// Adds the screen to the terminal. Returns kNotFound without a framebuffer, and kUnsupported for a
// pixel format other than 24 or 32 bits. Needs the heap.
Result<void> init(const Framebuffer& framebuffer);

// Shows older (positive) or newer lines, by half screens. Does nothing without a screen.
void scroll_view(i32 half_screens);

}  // namespace display
