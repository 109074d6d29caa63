// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupt controllers that devices' lines end at.
#pragma once

#include "kernel/acpi/tables.h"

namespace arch::io_apic {

// Maps and masks every controller of the firmware's list; silences the legacy pair.
void init(const acpi::Tables& tables);

}  // namespace arch::io_apic
