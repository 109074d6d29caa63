// SPDX-License-Identifier: GPL-2.0-or-later
// Makes an empty exFAT volume. Everything that the medium held is lost. For threads of CPU 0; waits
// for the disk.
#pragma once

#include "kernel/fs/medium.h"

namespace fs {

struct ExfatFormat {
  u32 sector_bytes = 512;       // the disk's: 512 to 4096
  u32 cluster_bytes = 0;        // a power of two; 0 = by the size of the volume
  u32 serial = 0;               // tells volumes apart; a random number
  u64 first_sector = 0;         // where the volume begins on its disk; 0 = unknown
  std::string_view label = "";  // at most 11 characters of ASCII
};

// The volume can be mounted once this has returned without an error, and not before.
Result<void> format_exfat(Medium& medium, const ExfatFormat& format);

}  // namespace fs
