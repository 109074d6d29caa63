// SPDX-License-Identifier: GPL-2.0-or-later
// The file systems of disks, mounted under /disk/NAME as the disks appear.
#pragma once

#include "kernel/dev/block_device.h"
#include "kernel/fs/file_system.h"
#include "kernel/fs/medium.h"

namespace fs {

// Any alignment over a device of blocks: whole blocks go straight between the caller's memory and
// the device, many requests in flight; the unaligned ends go through one block each.
class DiskMedium final : public Medium {
 public:
  explicit DiskMedium(BlockDevice& device)
      : device_(device), size_(device.geometry().blocks * device.geometry().block_bytes) {}
  u64 size() const override { return size_; }  // as it was: a disk that goes has no blocks
  bool writable() const override { return !device_.geometry().read_only; }
  Result<void> read(u64 offset, std::span<Byte> out) override;
  Result<void> write(u64 offset, std::span<const Byte> in) override;
  Result<void> flush() override { return block::flush(device_); }

 private:
  BlockDevice& device_;
  u64 size_;
};

// What a medium holds: the first of ext4, exFAT, FAT and ISO 9660 that recognizes it. kNotFound
// when none does. The result lives for ever; the medium must too.
Result<FileSystem*> open_volume(Medium& medium);

// Mounts what is on the disks that have appeared since the last call: a disk without partitions as
// /disk/vda, partitions as /disk/vda1 (/disk/nvme0n1p1). What cannot be read is logged. What lay on
// disks that are gone is mounted no more.
void mount_new_disks();

// Disks and partitions that are not mounted, and why.
struct Unmounted {
  std::string_view point;  // where it would be
  Error reason;
};
std::span<const Unmounted> unmounted();

// Starts the thread that mounts disks as they are registered.
Result<void> watch_disks();

// Waits until the drivers have looked for disks and what they found is mounted, or `deadline_ns`.
void wait_for_disks(u64 deadline_ns);

}  // namespace fs
