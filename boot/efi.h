// SPDX-License-Identifier: GPL-2.0-or-later
// The way in from UEFI without another loader: command line, models, tables, screen, memory; then
// ExitBootServices. UEFI Specification 2.10, chapters 4, 7, 9, 12 and 13.
//
// Runs on the firmware's stack and in its address space, where every address is physical. Calls are
// made by the C convention of the CPU, which is UEFI's on ARM64 but not on x86-64, where GRUB is.
#pragma once

#include "boot/boot_info.h"
#include "kernel/base/result.h"

namespace boot {

// UEFI's handle of this image, and its system table.
struct Efi {
  void* image;
  void** table;
};

// Fills all of `out` but memory: what the loader was told, the first of the models there are, what
// the volume we were started from holds, ACPI's root pointer or the device tree. A file that cannot
// be read is told on the firmware's console and left out.
Result<void> read_efi(Efi efi, BootInfo& out);

// Fills in memory as it is now: where tables may lie.
Result<void> read_efi_memory(Efi efi, BootInfo& out);

// Ends the boot services and fills in memory; from here on no call into the firmware is possible.
// What the boot services used is usable, and so is what was loaded: whoever keeps memory must know
// the image and the modules.
Result<void> leave_efi(Efi efi, BootInfo& out);

// A line on the firmware's console.
void say_efi(Efi efi, const char* text);

}  // namespace boot
