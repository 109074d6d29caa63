// SPDX-License-Identifier: GPL-2.0-or-later
// The PS/2 keyboard of an 8042 controller, or of something that emulates one.
#pragma once

#include "kernel/base/result.h"

namespace ps2 {

// Adds the keyboard to the terminal. Returns kNotFound if no controller or keyboard answers, which
// is common. For threads; takes at most 60 ms.
Result<void> init();

}  // namespace ps2
