// SPDX-License-Identifier: GPL-2.0-or-later
// Mounts the file systems of disks under /disk/NAME as the disks appear. For threads of CPU 0;
// these functions wait for disks.
#pragma once

#include "kernel/dev/block_device.h"
#include "kernel/fs/file_system.h"
#include "kernel/fs/medium.h"

namespace fs {

// Access at any alignment to a device of blocks. Whole blocks move directly between the caller's
// memory and the device, with many requests in flight; unaligned ends go through one block each.
class DiskMedium final : public Medium {
 public:
  explicit DiskMedium(BlockDevice& device)
      : device_(device), size_(device.geometry().blocks * device.geometry().block_bytes) {}
  // as it was at first: a disk that is gone has no blocks
  u64 size() const override { return size_; }
  bool writable() const override { return !device_.geometry().read_only; }
  Result<void> read(u64 offset, std::span<Byte> out) override;
  Result<void> write(u64 offset, std::span<const Byte> in) override;
  Result<void> flush() override { return block::flush(device_); }

 private:
  BlockDevice& device_;
  u64 size_;
};

// Opens what a medium holds: the first of ext4, exFAT, FAT and ISO 9660 that recognizes it, or
// kNotFound. The result is never freed, and the medium must not be, either.
Result<FileSystem*> open_volume(Medium& medium);

// Mounts the disks that have appeared since the last call: a disk without partitions as /disk/vda,
// partitions as /disk/vda1 (/disk/nvme0n1p1). Logs what cannot be read, and unmounts the volumes of
// disks that are gone.
void mount_new_disks();

// Disks and partitions that are not mounted, with the reasons.
struct Unmounted {
  std::string_view point;  // where it would be mounted
  Error reason;
};
std::span<const Unmounted> unmounted();

// Returns true if the mount is a volume of the disk.
bool lies_on(const Mount& mount, const BlockDevice& device);
// Returns kBusy if a file on one of the disk's volumes is open, or disks are being mounted.
Result<void> need_idle_disk(const BlockDevice& device);
// Unmounts the volumes of a disk that is going to be written as a whole, if it is idle.
Result<void> release_disk(const BlockDevice& device);
// Mounts what is on a disk after that.
Result<void> mount_again(BlockDevice& device);
// Counts the open files of a file system.
u32 open_files(const FileSystem& system);

// Starts the thread that mounts disks as they are registered.
Result<void> watch_disks();

// Sleeps until the drivers have searched for disks and everything they found is mounted, or until
// `deadline_ns`.
void wait_for_disks(u64 deadline_ns);

}  // namespace fs
