// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's parts as the firmware described them, kept for interrupts, PCI and power.
#pragma once

#include "boot/boot_info.h"
#include "boot/hardware.h"

namespace arch {

// Reads what the boot needs before there is memory: how to switch off, above all. Once.
void read_hardware(const BootInfo& boot);
// How long the device tree at that address says it is, at most what a loader may pass; 0 = none
// there. Callable with the MMU off.
u64 device_tree_bytes(u64 address);
// The information that UEFI gave on the way in (efi.cpp), null when it was another way; and the
// machine's parts by ACPI, null when a device tree has them.
const BootInfo* told_by_efi();
const boot::Hardware* hardware_by_efi();
// Empty before read_hardware.
const boot::Hardware& hardware();
// Returns the loader's information; null before init_platform.
const BootInfo* boot_information();
// Does the option exit=semihosting say that an emulator listens?
bool exits_by_semihosting();

}  // namespace arch
