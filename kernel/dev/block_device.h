// SPDX-License-Identifier: GPL-2.0-or-later
// Disks: requests that complete later, as many at once as the queue is deep, and functions that
// wait for them.
#pragma once

#include <atomic>
#include <span>
#include <string_view>

#include "kernel/base/result.h"
#include "kernel/sched/thread.h"

enum class BlockOperation : u8 { kRead, kWrite, kFlush };

// A request to a disk. The caller owns it and keeps it in place until `complete` was called.
// `buffer` is a multiple of the block size in memory that DMA can reach (memory is
// identity-mapped).
struct BlockRequest {
  BlockOperation operation = BlockOperation::kRead;
  u64 first_block = 0;
  std::span<Byte> buffer;                             // empty for kFlush
  void (*complete)(BlockRequest& request) = nullptr;  // may be called by an interrupt handler
  void* context = nullptr;
  Result<void> status;  // set before complete() is called
};

struct BlockGeometry {
  u64 blocks = 0;
  u32 block_bytes = 512;
  u32 max_transfer_bytes = 128 * 1024;  // per request
  bool read_only = false;
  bool fixed = false;  // it stays in the machine; false if unknown
};

class BlockDevice {
 public:
  virtual std::string_view name() const = 0;    // "nvme0n1"
  virtual std::string_view driver() const = 0;  // "nvme"
  virtual BlockGeometry geometry() const = 0;
  virtual u32 queue_depth() const = 0;  // requests that may be in flight at once; at least 1
  // Returns kBusy if the queue is full. After any other error the request was not taken, either.
  virtual Result<void> submit(BlockRequest& request) = 0;
  // Completes finished requests, for drivers or moments without interrupts.
  virtual void poll() = 0;

 protected:
  ~BlockDevice() = default;  // never deleted through the interface
};

namespace block {

// These sleep until the transfer is complete; other threads run meanwhile. Large transfers are
// split and kept in flight `queue_depth` deep. Spans must be multiples of the block size.
Result<void> read(BlockDevice& device, u64 first_block, std::span<Byte> out);
Result<void> write(BlockDevice& device, u64 first_block, std::span<const Byte> in);
Result<void> flush(BlockDevice& device);

}  // namespace block
