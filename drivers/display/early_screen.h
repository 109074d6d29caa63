// SPDX-License-Identifier: GPL-2.0-or-later
// The screen before there is memory for a console, used only for a panic of the boot.
#pragma once

#include <string_view>

#include "boot/boot_info.h"

namespace display {

// Adds a panic device that draws into the loader's framebuffer, or as VGA text if there is none
// and `text_screen` is not 0. Allocates nothing. Called on the first line of C++.
void start_early(const Framebuffer& framebuffer, u64 text_screen);
// Writes one line of VGA text at the top of a screen on which no console will be. Does nothing
// where the loader gave pixels.
void tell_text_screen(std::string_view line);
// The console owns the screen from here on.
void end_early();

}  // namespace display
