// SPDX-License-Identifier: GPL-2.0-or-later
// Shared by power.cpp and the power button.
#pragma once

namespace arch {

// Takes the fixed hardware over from the firmware's management mode, if that still has it.
void enable_acpi();

}  // namespace arch
