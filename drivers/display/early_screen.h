// SPDX-License-Identifier: GPL-2.0-or-later
// The screen before there is memory for a console: for a panic of the boot, and for nothing else.
#pragma once

#include <string_view>

#include "boot/boot_info.h"

namespace display {

// Adds a panic device that draws into the loader's framebuffer, or as VGA text where there is none.
// No allocation. First line of C++.
void start_early(const Framebuffer& framebuffer);
// For who looks at a screen on which no console will be: one line of VGA text at its top. Nothing
// where the loader gave pixels.
void tell_text_screen(std::string_view line);
// The console has the screen from here on.
void end_early();

}  // namespace display
