// SPDX-License-Identifier: GPL-2.0-or-later
// Writes GPT partition tables (UEFI 2.10, 5.3) with their backup and a protective MBR, which may
// hold boot code. For threads of CPU 0; waits for the disk.
#pragma once

#include "kernel/fs/medium.h"

namespace fs {

using Guid = std::array<Byte, 16>;  // as it is stored

constexpr usize kBootCodeBytes = 440;  // at the start of an MBR

struct NewPartition {
  Guid type{}, id{};           // `id`: a random number (make_guid)
  u64 first = 0, blocks = 0;   // in blocks of the disk
  std::string_view name = "";  // at most 36 characters of ASCII
};

struct NewTable {
  u32 block_bytes = 512;                     // the disk's
  Guid disk{};                               // a random number (make_guid)
  std::span<const NewPartition> partitions;  // they get the numbers from 1 on
  // At most kBootCodeBytes. Empty: code that asks the BIOS for its next device.
  std::span<const Byte> boot_code;
};

// The blocks that partitions may have: not those of the tables at both ends.
struct BlockRange {
  u64 first = 0, end = 0;  // `end` is not one of them
};
BlockRange usable_blocks(u64 disk_blocks, u32 block_bytes);

// Makes 16 random bytes a GUID of version 4 (RFC 9562, 5.4).
Guid make_guid(const Guid& random);

// Erases the first and the last MiB, where tables, boot code and most file systems have their
// marks. The disk has no partitions then.
Result<void> erase_partitions(Medium& disk);

// Writes the backup, the table and then the MBR, with a flush behind each. Before the MBR is
// written, no partition is found. Returns kInvalidArgument for partitions that overlap or lie
// outside of usable_blocks().
Result<void> write_partitions(Medium& disk, const NewTable& table);

}  // namespace fs
