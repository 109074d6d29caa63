// SPDX-License-Identifier: GPL-2.0-or-later
// Puts the places of GRUB's parts on a disk into its first two sectors, as its installer does for
// BIOS. The images come from a boot medium, so each field is checked first. Pure; any thread.
#pragma once

#include <span>

#include "kernel/base/result.h"

namespace service {

// GRUB's boot.img (boot.S): the boot sector that loads the sector at `core_block`. The partition
// table behind its code is not its own.
Result<void> place_boot_sector(std::span<Byte> image, u64 core_block);

// GRUB's core image (diskboot.S, and what grub-mkimage puts behind it). Its first sector loads the
// others, which follow it from `core_block` + 1 on. The image is a multiple of 512 bytes.
Result<void> place_core(std::span<Byte> image, u64 core_block);

}  // namespace service
