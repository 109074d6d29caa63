// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupt controllers to which devices' lines are connected.
#pragma once

#include "kernel/acpi/tables.h"

namespace arch::io_apic {

// Maps and masks every controller in the firmware's list, and silences the legacy pair.
void init(const acpi::Tables& tables);

}  // namespace arch::io_apic
