// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the machine's parts as the firmware described them, for interrupts, PCI and power.
#pragma once

#include "boot/boot_info.h"
#include "boot/hardware.h"

namespace arch {

// Reads what the boot needs before there is memory, above all how to switch off. Called once.
void read_hardware(const BootInfo& boot);
// Returns the length that the device tree at `address` says it has, or 0 if there is none or it is
// longer than a loader may pass. Callable with the MMU off.
u64 device_tree_bytes(u64 address);
// The first returns what UEFI told (efi.cpp), or null if the boot took another way. The second
// returns the machine's parts by ACPI, or null if a device tree has them.
const BootInfo* told_by_efi();
const boot::Hardware* hardware_by_efi();
// Returns the machine's parts, which are empty before read_hardware.
const boot::Hardware& hardware();
// Returns the loader's information; null before init_platform.
const BootInfo* boot_information();
// Returns true if the option exit=semihosting says that an emulator listens.
bool exits_by_semihosting();

}  // namespace arch
