// SPDX-License-Identifier: GPL-2.0-or-later
// Connects the power button to kernel/dev/power.h.
#pragma once

#include "kernel/base/result.h"

namespace power_button {

// Returns kNotFound if the machine has no button that can be watched. For threads.
Result<void> init();

}  // namespace power_button
