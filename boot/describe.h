// SPDX-License-Identifier: GPL-2.0-or-later
// The loader's words as text, for the command `firmware`.
#pragma once

#include "boot/boot_info.h"
#include "kernel/base/format.h"

namespace boot {

// Writes the loader, the screen and the memory map. The command line is left out: it may hold keys.
void describe(const BootInfo& boot, base::Writer& out);

}  // namespace boot
