// SPDX-License-Identifier: GPL-2.0-or-later
// Describes what the loader and the firmware told at boot. Thread context.
#pragma once

#include "kernel/base/format.h"

namespace arch {

// Describes the loader, its memory map and screen, and the firmware's tables, but not the command
// line.
void describe_firmware(base::Writer& out);

}  // namespace arch
