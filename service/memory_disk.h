// SPDX-License-Identifier: GPL-2.0-or-later
// A disk in memory, for a machine without another one: what a network or a stick brings has a place
// until the power goes. For threads of CPU 0; requests are complete when submit() returns.
#pragma once

#include "kernel/base/containers.h"
#include "kernel/dev/block_device.h"

namespace service {

class MemoryDisk final : public BlockDevice {
 public:
  // Takes memory for what is written, a MiB at a time, and not for the rest.
  static Result<base::Owner<MemoryDisk>> create(u64 mebibytes);
  std::string_view name() const override { return "ram0"; }
  std::string_view driver() const override { return "memory"; }
  BlockGeometry geometry() const override;
  u32 queue_depth() const override { return 1; }
  Result<void> submit(BlockRequest& request) override;
  void poll() override {}

 private:
  static constexpr u32 kBlockBytes = 512;
  Result<void> transfer(BlockRequest& request);

  Vector<Vector<Byte>> pieces_;  // of a MiB each; one that was never written is empty
};

// Makes the machine's disk in memory with an empty exFAT volume, which is mounted soon after. There
// is one, and it stays. Returns kBusy if it is there already.
Result<void> make_memory_disk(u64 mebibytes);

constexpr u64 kLeastMemoryDisk = 16, kMostMemoryDisk = u64{1} << 20;  // MiB

}  // namespace service
