// SPDX-License-Identifier: GPL-2.0-or-later
// The screen before there is memory for a console: for a panic of the boot, and for nothing else.
#pragma once

#include "boot/boot_info.h"

namespace display {

// Adds a panic device that draws into the loader's framebuffer, or as VGA text where there is
// none and `text_screen` is not 0.
// No allocation. First line of C++.
void start_early(const Framebuffer& framebuffer, u64 text_screen);
// The console has the screen from here on.
void end_early();

}  // namespace display
