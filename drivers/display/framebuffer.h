// SPDX-License-Identifier: GPL-2.0-or-later
// The loader's framebuffer (GOP, VBE) as a text console.
//
// Pixels are only ever written: reading write-combining memory is a hundred times slower. A grid
// of what was drawn decides what must be drawn again.
#pragma once

#include "boot/boot_info.h"
#include "kernel/dev/char_device.h"

namespace display {

// kNotFound without a framebuffer, kUnsupported for a pixel format that is not 24 or 32 bits.
// Adds itself to the terminal. Needs the heap.
Result<void> init(const Framebuffer& framebuffer);

// Shows older (positive) or newer lines, by half screens. Nothing without a screen.
void scroll_view(i32 half_screens);

}  // namespace display
