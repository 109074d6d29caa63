// SPDX-License-Identifier: GPL-2.0-or-later
// The fixed power button of ACPI. ACPI 6.5, 4.8.2.2.1.
#pragma once

#include "kernel/base/result.h"

namespace arch {

// Calls pressed() in an interrupt of CPU 0 at each press. Returns kNotFound if the board has no
// such button, or one that only the firmware's own methods know. For threads.
Result<void> watch_power_button(void (*pressed)());

}  // namespace arch
