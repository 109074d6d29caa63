// SPDX-License-Identifier: GPL-2.0-or-later
// The firmware's tables, kept for timer, power and PCI.
#pragma once

#include "kernel/acpi/tables.h"

namespace arch {

// Empty before init_platform(), and on a machine without ACPI.
const acpi::Tables& firmware();

}  // namespace arch
