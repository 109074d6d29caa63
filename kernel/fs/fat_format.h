// SPDX-License-Identifier: GPL-2.0-or-later
// Makes an empty FAT32 volume, as firmware reads it. Everything that the medium held is lost. For
// threads of CPU 0; waits for the disk.
#pragma once

#include "kernel/fs/medium.h"

namespace fs {

struct FatFormat {
  u32 sector_bytes = 512;       // the disk's: 512 to 4096
  u32 serial = 0;               // tells volumes apart; a random number
  u64 first_sector = 0;         // where the volume begins on its disk
  std::string_view label = "";  // at most 11 characters: A to Z, 0 to 9, space, - and _
};

// The volume can be mounted once this has returned without an error, and not before. A volume that
// is too small for FAT32 is refused: it would be a FAT16 to other systems.
Result<void> format_fat32(Medium& medium, const FatFormat& format);

// Returns the size, in bytes, from which on FAT32 is possible with such sectors.
u64 least_fat32_bytes(u32 sector_bytes);

}  // namespace fs
