// SPDX-License-Identifier: GPL-2.0-or-later
// Boots from UEFI without another loader: reads command line, models, tables, screen and memory,
// and ends the boot services. UEFI Specification 2.10, chapters 4, 7, 9, 12 and 13.
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

// Fills all of `out` but memory: the command line, the initial ramdisk, the files of the volume
// that we were started from, ACPI's root pointer or the device tree, the screen and random numbers.
// A file that cannot be read is left out, and the firmware's console says so.
Result<void> read_efi(Efi efi, BootInfo& out);

// Fills in memory as it is now, so that tables can be found in it.
Result<void> read_efi_memory(Efi efi, BootInfo& out);

// Ends the boot services and fills in memory; from here on no call into the firmware is possible.
// Memory of the boot services becomes usable, and so does the memory of what was loaded. Later code
// must keep the image and the modules itself.
Result<void> leave_efi(Efi efi, BootInfo& out);

// Writes a line on the firmware's console.
void say_efi(Efi efi, const char* text);

}  // namespace boot
