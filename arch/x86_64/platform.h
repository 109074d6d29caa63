// SPDX-License-Identifier: GPL-2.0-or-later
// The firmware's tables, kept for timer, power and PCI.
#pragma once

#include "kernel/acpi/tables.h"

struct BootInfo;

namespace arch {

// Returns the tables. They are empty before init_platform(), and on a machine without ACPI.
const acpi::Tables& firmware();
// Returns memory of the firmware, which is mapped when it is first read. CPU 0.
Result<std::span<const Byte>> read_firmware(u64 address, u64 bytes);
// Returns what the loader told; null before init_platform.
const BootInfo* boot_information();

}  // namespace arch
