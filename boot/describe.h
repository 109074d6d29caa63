// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the loader's information as text, for the command `firmware`.
#pragma once

#include "boot/boot_info.h"
#include "kernel/base/format.h"

namespace boot {

// Writes the loader, the screen and a row for each range of memory, but not the command line.
void describe(const BootInfo& info, base::Writer& out);
// Writes bytes in hexadecimal, 32 a row, each row with its offset.
void dump(std::span<const Byte> bytes, base::Writer& out);

}  // namespace boot
