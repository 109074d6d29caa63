// SPDX-License-Identifier: GPL-2.0-or-later
// The power button as a wish of kernel/dev/power.h.
#pragma once

#include "kernel/base/result.h"

namespace power_button {

// kNotFound: the machine has no button that can be watched. Thread context.
Result<void> init();

}  // namespace power_button
