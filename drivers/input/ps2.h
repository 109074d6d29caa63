// SPDX-License-Identifier: GPL-2.0-or-later
// The PS/2 keyboard behind an 8042 controller, or what emulates one.
#pragma once

#include "kernel/base/result.h"

namespace ps2 {

// kNotFound when no controller or keyboard answers (a machine without one is quite usual).
// Adds the keyboard to the terminal. Thread context; at most 60 ms.
Result<void> init();

}  // namespace ps2
