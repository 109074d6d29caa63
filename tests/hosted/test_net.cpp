// SPDX-License-Identifier: GPL-2.0-or-later
// The wire between test cards, and the stack's clock and memory in tests.
#include "tests/hosted/test_net.h"

#include <algorithm>
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

std::vector<Byte> udp_frame(const Udp& from, std::span<const Byte> body) {
  constexpr usize kIp = 14, kUdp = kIp + 20, kBody = kUdp + 8;
  std::vector<Byte> frame(kBody + body.size());
  auto put16 = [&](usize at, usize value) {
    frame[at] = static_cast<Byte>(value >> 8);
    frame[at + 1] = static_cast<Byte>(value);
  };
  bool many = from.target[0] >= 224;  // RFC 1112, 6.4
  constexpr Byte kOwn[] = {2, 0, 0, 0, 0, 1}, kSender[] = {2, 0, 0, 0, 0, 9};
  const Byte group[] = {
      1, 0, 0x5e, static_cast<Byte>(from.target[1] & 0x7f), from.target[2], from.target[3]};
  std::copy_n(many ? group : kOwn, 6, frame.begin());
  std::copy_n(kSender, 6, frame.begin() + 6);
  put16(12, 0x0800);
  frame[kIp] = 0x45;
  put16(kIp + 2, frame.size() - kIp);
  frame[kIp + 8] = 255;
  frame[kIp + 9] = 17;
  std::copy(from.source.begin(), from.source.end(), frame.begin() + kIp + 12);
  std::copy(from.target.begin(), from.target.end(), frame.begin() + kIp + 16);
  u32 sum = 0;
  for (usize i = kIp; i < kUdp; i += 2) sum += frame[i] << 8 | frame[i + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  put16(kIp + 10, static_cast<u16>(~sum));
  put16(kUdp, from.source_port);
  put16(kUdp + 2, from.target_port);
  put16(kUdp + 4, frame.size() - kUdp);
  std::copy(body.begin(), body.end(), frame.begin() + kBody);
  return frame;
}

}  // namespace test_net
