// SPDX-License-Identifier: GPL-2.0-or-later
// The allocation bitmap of an exFAT volume, held in memory and written through, one sector at
// least. For the thread that has the volume's turn; waits for the disk.
#pragma once

#include "kernel/fs/runs.h"

namespace fs {

// Consecutive clusters.
struct ExfatExtent {
  u32 first = 0, count = 0;
};

class ExfatBitmap {
 public:
  static constexpr u64 kMostBytes = 64 * kMiB;  // describes 512 Mi clusters

  // Reads the bitmap of `clusters` clusters, which lies at `where`.
  Result<void> load(Medium& medium, RunList where, u32 clusters, u32 sector_bytes);
  bool loaded() const { return !bits_.empty(); }
  u32 free() const { return free_; }
  bool used(u32 cluster) const { return (bits_[(cluster - 2) / 8] >> (cluster - 2) % 8 & 1) != 0; }

  // Takes up to `most` consecutive clusters: those that follow `after` if they are free (0 means no
  // preference), or else the next ones that are. Returns kFull if there is none.
  Result<ExfatExtent> allocate(Medium& medium, u32 after, u32 most);
  Result<void> release(Medium& medium, ExfatExtent extent);
  // Makes the bitmap equal to `wanted`, which has its size. Returns how many clusters changed.
  Result<u64> replace(Medium& medium, std::span<const Byte> wanted);
  std::span<const Byte> bytes() const { return bits_.view(); }

 private:
  void set(ExfatExtent extent, bool used);
  Result<void> store(Medium& medium, ExfatExtent extent);
  u32 free_from(u32 c, u32 most) const;
  ExfatExtent find(u32 after, u32 most) const;
  void count();

  RunList where_;
  Vector<Byte> bits_;  // a whole number of sectors
  u32 clusters_ = 0, sector_bytes_ = 0;
  u32 free_ = 0;
  u32 next_ = 2;  // where the next search begins
};

}  // namespace fs
