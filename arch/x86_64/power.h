// SPDX-License-Identifier: GPL-2.0-or-later
// What power.cpp shares with the power button.
#pragma once

namespace arch {

// Takes the fixed hardware over from the firmware's management mode, if that has it still.
void enable_acpi();

}  // namespace arch
