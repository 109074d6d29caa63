// SPDX-License-Identifier: GPL-2.0-or-later
// Implements transfers that wait: they are split into requests that the disk accepts, several in
// flight.
#include "kernel/dev/block_device.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernel/sched/context.h"
#include "kernel/time/clock.h"

namespace block {
namespace {

constexpr usize kMostInFlight = 32;
// if an interrupt is lost, this delays the transfer by a millisecond
constexpr u64 kPollNs = 1'000'000;

// One transfer. Its parts are submitted in order and complete in any order.
class Transfer {
 public:
  Transfer(BlockDevice& device, BlockOperation operation, u64 first_block, std::span<Byte> buffer)
      : device_(device), operation_(operation), block_(first_block), rest_(buffer) {}
  Result<void> run();

 private:
  struct Part {
    BlockRequest request;
    Transfer* owner = nullptr;
    bool busy = false;
  };
  static void on_complete(BlockRequest& request);
  bool submit_next(Part& part);
  void wait();

  BlockDevice& device_;
  BlockOperation operation_;
  u64 block_;
  std::span<Byte> rest_;
  Result<void> status_;
  std::array<Part, kMostInFlight> parts_;
  std::atomic<u32> in_flight_{0};
  sched::WaitQueue done_;
};

void Transfer::on_complete(BlockRequest& request) {
  Part& part = *static_cast<Part*>(request.context);
  Transfer& self = *part.owner;
  if (!request.status.has_value() && self.status_.has_value()) self.status_ = request.status;
  part.busy = false;
  self.in_flight_.fetch_sub(1, std::memory_order_relaxed);
  self.done_.wake_all();
}

// Returns false if the device does not accept the part now, or if the transfer has failed.
bool Transfer::submit_next(Part& part) {
  BlockGeometry g = device_.geometry();
  usize bytes = std::min<usize>(rest_.size(), std::max(g.max_transfer_bytes, g.block_bytes));
  part.owner = this;
  part.busy = true;
  part.request = {.operation = operation_,
                  .first_block = block_,
                  .buffer = rest_.first(bytes),
                  .complete = on_complete,
                  .context = &part,
                  .status = {}};
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  auto taken = device_.submit(part.request);
  if (taken.has_value()) {
    rest_ = rest_.subspan(bytes);
    block_ += bytes / g.block_bytes;
    return true;
  }
  part.busy = false;
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  if (taken.error().code != Errc::kBusy && status_.has_value()) status_ = std::move(taken);
  return false;
}

void Transfer::wait() {
  device_.poll();
  if (in_flight_.load(std::memory_order_relaxed) > 0) done_.wait(timing::now_ns() + kPollNs);
}

Result<void> Transfer::run() {
  usize deep = std::clamp<usize>(device_.queue_depth(), 1, kMostInFlight);
  while (!rest_.empty() && status_.has_value()) {
    bool submitted = false;
    for (usize i = 0; i < deep && !rest_.empty() && status_.has_value(); i++)
      if (!parts_[i].busy) submitted = submit_next(parts_[i]) || submitted;
    if (in_flight_.load(std::memory_order_relaxed) > 0) {
      wait();
    } else if (!submitted && status_.has_value()) {
      sched::sleep_ns(kPollNs);  // others' requests fill the queue
    }
  }
  while (in_flight_.load(std::memory_order_relaxed) > 0) wait();
  return status_;
}

Result<void> check(BlockDevice& device, u64 first_block, usize bytes) {
  BlockGeometry g = device.geometry();
  if (bytes % g.block_bytes != 0)
    return fail(Errc::kInvalidArgument, "not a multiple of the block size");
  u64 count = bytes / g.block_bytes;
  if (first_block > g.blocks || count > g.blocks - first_block)
    return fail(Errc::kOutOfRange, "past the end of the disk");
  return {};
}

}  // namespace

Result<void> read(BlockDevice& device, u64 first_block, std::span<Byte> out) {
  sched::assert_thread();
  TRY(check(device, first_block, out.size()));
  return Transfer(device, BlockOperation::kRead, first_block, out).run();
}

Result<void> write(BlockDevice& device, u64 first_block, std::span<const Byte> in) {
  sched::assert_thread();
  TRY(check(device, first_block, in.size()));
  if (device.geometry().read_only)
    return fail(Errc::kPermission, "the disk is read-only: use another disk");
  // The device only reads the buffer; BlockRequest has one span for both directions.
  std::span<Byte> buffer(const_cast<Byte*>(in.data()), in.size());
  return Transfer(device, BlockOperation::kWrite, first_block, buffer).run();
}

namespace {

struct Flush {
  std::atomic<bool> done{false};
  sched::WaitQueue queue;
};

}  // namespace

Result<void> flush(BlockDevice& device) {
  sched::assert_thread();
  Flush state;
  BlockRequest request{.operation = BlockOperation::kFlush,
                       .first_block = 0,
                       .buffer = {},
                       .complete =
                           [](BlockRequest& r) {
                             auto& s = *static_cast<Flush*>(r.context);
                             s.done.store(true);
                             s.queue.wake_all();
                           },
                       .context = &state,
                       .status = {}};
  for (;;) {
    auto taken = device.submit(request);
    if (taken.has_value()) break;
    if (taken.error().code != Errc::kBusy) return taken;
    device.poll();
    sched::sleep_ns(kPollNs);
  }
  while (!state.done.load()) {
    device.poll();
    if (!state.done.load()) state.queue.wait(timing::now_ns() + kPollNs);
  }
  return request.status;
}

}  // namespace block
