// SPDX-License-Identifier: GPL-2.0-or-later
// Reads partition tables: GPT (UEFI 2.10, 5.3) with its backup, and MBR with logical partitions.
#pragma once

#include "kernel/fs/medium.h"

namespace fs {

struct Partition {
  u32 number = 0;  // from 1; logical partitions of an MBR begin at 5, as in other systems
  u64 offset = 0;  // bytes
  u64 bytes = 0;
};

enum class TableKind : u8 { kNone, kMbr, kGpt, kGptBackup };

struct PartitionTable {
  TableKind kind = TableKind::kNone;
  Vector<Partition> partitions;
};

// `block_bytes` is the disk's logical block size, 512 to 4096. A disk without a table gives kNone;
// a GPT with two damaged copies gives kCorrupt. Partitions that exceed the disk are left out.
Result<PartitionTable> read_partitions(Medium& disk, u32 block_bytes);

}  // namespace fs
