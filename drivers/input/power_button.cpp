// SPDX-License-Identifier: GPL-2.0-or-later
// Makes each press of the button a request to switch off.
#include "drivers/input/power_button.h"

#include "kernel/dev/power.h"

#include <arch/power_button.h>

namespace power_button {

Result<void> init() {
  return arch::watch_power_button([] { power::ask(power::Wish::kOff); });
}

}  // namespace power_button
