// SPDX-License-Identifier: GPL-2.0-or-later
// How an installed disk is divided, and its ids. Pure, except for random_ids(): that is for threads
// of CPU 0.
#pragma once

#include "kernel/crypto/sha256.h"
#include "kernel/fs/partition_write.h"

namespace service {

// The partitions in their order, which is that of their numbers.
enum class DiskPart : u8 { kBiosBoot, kBoot, kState, kData };
constexpr usize kDiskParts = 4;

struct DiskLayout {
  u32 block_bytes = 512;
  struct Part {
    u64 first = 0, blocks = 0;
  } parts[kDiskParts]{};
  u64 offset(DiskPart part) const { return parts[static_cast<usize>(part)].first * block_bytes; }
  u64 bytes(DiskPart part) const { return parts[static_cast<usize>(part)].blocks * block_bytes; }
  // A BIOS reads sectors of 512 bytes only.
  bool boots_by_bios() const { return block_bytes == 512; }
};

// The files that must find room.
struct DiskNeeds {
  u64 boot_bytes = 0;   // files of the boot partition, with the slots of updates
  u64 model_bytes = 0;  // files of the data partition
};

// Returns the size in bytes from which on a disk is large enough.
u64 least_disk_bytes(const DiskNeeds& needs, u32 block_bytes);

// Returns kFull for a disk that is smaller than that.
Result<DiskLayout> plan_disk(u64 blocks, u32 block_bytes, const DiskNeeds& needs);

// The ids that tell a disk apart from others in a machine.
struct DiskIds {
  fs::Guid disk{};
  std::array<fs::Guid, kDiskParts> parts{};
  std::array<Byte, 16> medium{};         // by which a later start knows it among its copies
  u32 boot_serial = 0, data_serial = 0;  // of the volumes
};
DiskIds random_ids();
// Returns ids that are the same for the same seed, for a disk that can be made again.
DiskIds ids_of(const crypto::Sha256Digest& seed);

// Returns the table of such a disk. `rows` holds its partitions.
fs::NewTable table_of(const DiskLayout& layout, const DiskIds& ids,
                      std::span<fs::NewPartition, kDiskParts> rows,
                      std::span<const Byte> boot_code);

}  // namespace service
