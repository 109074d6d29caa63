// SPDX-License-Identifier: GPL-2.0-or-later
// The wire between test cards, and the stack's clock and memory in tests.
#include "tests/hosted/test_net.h"

#include <cstdlib>

namespace test_net {
namespace {
u64 clock_ns = 1'000'000'000;
}

u64 now_ns() {
  return clock_ns;
}

void pass_ms(u64 ms) {
  clock_ns += ms * 1'000'000;
  net::run_timers();
}

void start() {
  static const bool started = [] {
    net::StackParts parts{.seed = {1, 2, 3, 4}, .allocate = std::malloc, .free = std::free};
    parts.now_ns = now_ns;
    return net::init_stack(parts).has_value();
  }();
  ASSERT(started);
}

bool Card::chance(u32 permille) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_ % 1000 < permille;
}

Result<void> Card::transmit(std::span<const Byte> frame) {
  if (!room_) return fail(Errc::kBusy, "the ring is full");
  if (frame.size() > mtu_ + 14) return fail(Errc::kOutOfRange, "the frame is too large");
  last_sent_.assign(frame.begin(), frame.end());
  if (peer_ == nullptr || chance(faults_.lost_permille)) return {};
  std::deque<std::vector<Byte>>& wire = peer_->inbox_;
  auto at = !wire.empty() && chance(faults_.reordered_permille) ? wire.end() - 1 : wire.end();
  wire.insert(at, last_sent_);
  if (chance(faults_.repeated_permille)) wire.push_back(last_sent_);
  return {};
}

u32 Card::poll(FrameSink& up, u32 budget) {
  u32 count = 0;
  for (; count < budget && !inbox_.empty(); count++) {
    std::vector<Byte> frame = std::move(inbox_.front());
    inbox_.pop_front();
    up.on_frame(frame);
  }
  return count;
}

}  // namespace test_net
