// SPDX-License-Identifier: GPL-2.0-or-later
// nic: sends raw frames through a network card to a peer that echoes them.
//
// Its frames have EtherType 0x88b5 (local experiments, IEEE 802, 9.2.4), their number in the first
// eight bytes, and a pattern computed from the number after it. The peer sends them back unchanged.
#include <algorithm>
#include <array>
#include <cstring>

#include "console/shell/command.h"
#include "console/terminal/io.h"
#include "kernel/dev/registry.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

constexpr u16 kEtherType = 0x88b5;
constexpr usize kHeader = 14, kNumber = 8, kLeast = kHeader + kNumber, kMost = 1514;
constexpr u64 kWindow = 64;  // frames in flight: what fits into a socket of the peer
// after this time without any frame, those in flight count as lost
constexpr u64 kLostAfterNs = 300'000'000;
constexpr u64 kBatch = 32;

class Echo final : FrameSink {
 public:
  Echo(NetDevice& card, u64 frames, usize bytes, u64 window)
      : card_(card), frames_(frames), bytes_(bytes), window_(window) {}
  Result<void> run();
  void report(base::Writer& out) const;

 private:
  // Drops frames that belong to others while no network stack polls the card.
  class Nobody final : public FrameSink {
    void on_frame(std::span<const Byte>) override {}
  };
  void on_frame(std::span<const Byte> frame) override;
  void write_frame(u64 number);
  Result<void> send();
  using Pattern = std::array<u64, (kMost - kHeader + 7) / 8>;
  // Writes the number, then words that differ between frames and between places in a frame.
  void write_pattern(u64 number, Pattern& out) const {
    u64 word = number;
    for (usize i = 0; i <= (bytes_ - kHeader) / 8 && i < out.size(); i++) {
      out[i] = word;
      word = (word + i + 1) * 0x9e3779b97f4a7c15;
    }
  }

  NetDevice& card_;
  u64 frames_;
  usize bytes_;
  u64 window_;
  u64 sent_ = 0, back_ = 0, wrong_ = 0, refused_ = 0;
  u64 on_the_way_ = 0;
  u64 took_ns_ = 0;
  std::array<Byte, kMost> frame_{};
  Pattern expected_{};
};

void Echo::on_frame(std::span<const Byte> frame) {
  if (frame.size() < kLeast) return;
  u64 number = 0;
  std::memcpy(&number, frame.data() + kHeader, kNumber);
  // A short frame comes back padded to Ethernet's minimum.
  bool right = number < sent_ && frame.size() >= bytes_;
  if (right) {
    write_pattern(number, expected_);
    right = std::memcmp(frame.data() + kHeader, expected_.data(), bytes_ - kHeader) == 0;
  }
  right ? back_++ : wrong_++;
  if (on_the_way_ > 0) on_the_way_--;
}

void Echo::write_frame(u64 number) {
  std::memset(frame_.data(), 0xff, 6);
  MacAddress mac = card_.mac();
  std::memcpy(frame_.data() + 6, mac.data(), mac.size());
  frame_[12] = kEtherType >> 8;
  frame_[13] = kEtherType & 0xff;
  write_pattern(number, expected_);
  std::memcpy(frame_.data() + kHeader, expected_.data(), bytes_ - kHeader);
}

Result<void> Echo::send() {
  for (u64 i = 0; i < kBatch && sent_ < frames_ && on_the_way_ < window_; i++) {
    write_frame(sent_);
    auto taken = card_.transmit(std::span(frame_).first(bytes_));
    if (!taken.has_value() && taken.error().code == Errc::kBusy) {
      refused_++;
      return {};
    }
    TRY(taken);
    sent_++;
    on_the_way_++;
  }
  return {};
}

Result<void> Echo::run() {
  Nobody nobody;
  Result<void> status;
  card_.tap(kEtherType, this);
  u64 begin = timing::now_ns();
  u64 last = begin;
  u64 seen = 0;
  while ((sent_ < frames_ || on_the_way_ > 0) && status.has_value() && !io().interrupted()) {
    status = send();
    if (card_.poll(nobody, 64) == 0) card_.events().wait(timing::now_ns() + 10'000'000);
    u64 now = timing::now_ns();
    if (back_ + wrong_ != seen) {
      seen = back_ + wrong_;
      last = now;
    } else if (now - last > kLostAfterNs) {
      on_the_way_ = 0;
      last = now;
    }
  }
  took_ns_ = std::max<u64>(timing::now_ns() - begin, 1);
  card_.tap(0, nullptr);
  return status;
}

void Echo::report(base::Writer& out) const {
  base::format_to(out, "{}: {} frames of {} bytes sent, {} back, {} lost, {} wrong\n", card_.name(),
                  sent_, bytes_, back_, sent_ - std::min(sent_, back_ + wrong_), wrong_);
  base::format_to(out, "{} ms, {} MB/s out, {} MB/s in, {} us a frame, ring full {} times\n",
                  base::ratio(took_ns_, 1'000'000, 1),
                  base::ratio(sent_ * bytes_ * 1000, took_ns_, 1),
                  base::ratio(back_ * bytes_ * 1000, took_ns_, 1),
                  base::ratio(took_ns_, std::max<u64>(back_, 1) * 1000, 1), refused_);
}

Result<void> run_nic(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 3 || (arguments.words[1] != "bench" && arguments.words[1] != "ping"))
    return fail(Errc::kInvalidArgument, "nic bench|ping CARD [FRAMES [BYTES]]");
  NetDevice* card = devices::find_net(arguments.words[2]);
  if (card == nullptr) return fail(Errc::kNotFound, "no such card: lsnet lists them");
  bool ping = arguments.words[1] == "ping";
  u64 frames = TRY(number_at(arguments, 3, ping ? 100 : 10'000));
  u64 bytes = TRY(number_at(arguments, 4, ping ? 64 : kMost));
  if (bytes < kLeast || bytes > kMost)
    return fail(Errc::kOutOfRange, "a frame must have 22 to 1514 bytes");
  Echo echo(*card, frames, bytes, ping ? 1 : kWindow);
  Result<void> status = echo.run();
  echo.report(out);
  return status;
}

void complete_card(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (const char* verb : {"bench", "ping"}) add(context, verb);
  for (NetDevice* card : devices::nets()) add(context, card->name());
}

constexpr Command kNic{
    "nic",
    "nic bench|ping CARD [FRAMES [BYTES]]",
    "sends frames to an echoing peer, checks and times them",
    run_nic,
    "bench keeps 64 frames in flight. ping keeps one: its time per frame is the\n"
    "round trip. The peer sends frames of EtherType 0x88b5 back unchanged;\n"
    "tests/system/test_drivers.py contains one.\n",
    false,
    complete_card};
CONSOLE_COMMAND(kNic);

}  // namespace
}  // namespace console
