// SPDX-License-Identifier: GPL-2.0-or-later
// Disks: requests that complete later, as many at once as the queue is deep; and helpers that wait.
#pragma once

#include <atomic>
#include <span>
#include <string_view>

#include "kernel/base/result.h"
#include "kernel/sched/thread.h"

enum class BlockOperation : u8 { kRead, kWrite, kFlush };

// Owned by the caller, alive and unmoved until `complete` has been called. `buffer` is a multiple
// of the block size and DMA-able as it is (identity-mapped memory).
struct BlockRequest {
  BlockOperation operation = BlockOperation::kRead;
  u64 first_block = 0;
  std::span<Byte> buffer;                             // empty for kFlush
  void (*complete)(BlockRequest& request) = nullptr;  // may be called from interrupt context
  void* context = nullptr;
  Result<void> status;  // set before complete()
};

struct BlockGeometry {
  u64 blocks = 0;
  u32 block_bytes = 512;
  u32 max_transfer_bytes = 128 * 1024;  // of one request
  bool read_only = false;
  bool fixed = false;  // it stays in the machine; false where nobody knows
};

class BlockDevice {
 public:
  virtual std::string_view name() const = 0;    // "nvme0n1"
  virtual std::string_view driver() const = 0;  // "nvme"
  virtual BlockGeometry geometry() const = 0;
  virtual u32 queue_depth() const = 0;  // requests in flight at once, at least 1
  // kBusy when the queue is full; any other error means the request was not taken.
  virtual Result<void> submit(BlockRequest& request) = 0;
  // Completes what has finished, for drivers or moments without interrupts.
  virtual void poll() = 0;

 protected:
  ~BlockDevice() = default;  // never deleted through the interface
};

namespace block {

// Wait for completion; other threads run meanwhile. Large transfers are split and kept in flight
// `queue_depth` deep. Spans are multiples of the block size.
Result<void> read(BlockDevice& device, u64 first_block, std::span<Byte> out);
Result<void> write(BlockDevice& device, u64 first_block, std::span<const Byte> in);
Result<void> flush(BlockDevice& device);

}  // namespace block
