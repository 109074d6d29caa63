// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a disk with a partition table: every partition lies within the disk.
#include "kernel/fs/partition.h"

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  fs::MemoryMedium disk(std::span<const Byte>(data, size));
  for (u32 block : {512u, 4096u}) {
    auto table = fs::read_partitions(disk, block);
    if (!table.has_value()) continue;
    for (const fs::Partition& p : table->partitions)
      if (p.bytes == 0 || p.offset > size || p.bytes > size - p.offset) __builtin_trap();
  }
  return 0;
}
