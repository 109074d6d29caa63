// SPDX-License-Identifier: GPL-2.0-or-later
// Network interfaces: frames out by copy, frames in by polling after a wake-up.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "kernel/base/result.h"
#include "kernel/sched/thread.h"

using MacAddress = std::array<u8, 6>;

// Where received frames go. The span is only valid during the call.
class FrameSink {
 public:
  virtual void on_frame(std::span<const Byte> frame) = 0;

 protected:
  ~FrameSink() = default;
};

struct NetCounters {
  u64 frames_in = 0, frames_out = 0, bytes_in = 0, bytes_out = 0;
  u64 dropped_in = 0, errors_in = 0, errors_out = 0;
};

class NetDevice {
 public:
  virtual std::string_view name() const = 0;    // "eth0"
  virtual std::string_view driver() const = 0;  // "e1000e"
  virtual MacAddress mac() const = 0;
  virtual u32 mtu() const = 0;  // bytes of payload
  virtual bool link_up() const = 0;
  virtual NetCounters counters() const = 0;
  // Copies the frame; kBusy when the ring is full.
  virtual Result<void> transmit(std::span<const Byte> frame) = 0;
  // Between the two, frames may wait for the next one: the device is told of many at once. With
  // `may_join` it may be handed many of one TCP connection as a long one that it cuts itself.
  virtual void hold(bool) {}
  virtual void release() {}
  // Delivers at most `budget` frames; returns how many.
  virtual u32 poll(FrameSink& up, u32 budget) = 0;
  // Woken from the interrupt handler when there may be frames, room to send or a link change.
  virtual sched::WaitQueue& events() = 0;

  // Frames of one EtherType go to `sink` instead, whoever polls: for tests of the card beside a
  // network stack that uses it. Null takes it away. Thread context.
  void tap(u16 ether_type, FrameSink* sink) {
    tap_type_ = ether_type;
    tap_ = sink;
  }

 protected:
  // What poll() does with each frame.
  void deliver(std::span<const Byte> frame, FrameSink& up) {
    constexpr usize kHeader = 14;
    bool tapped = tap_ != nullptr && frame.size() >= kHeader &&
                  (u32{frame[12]} << 8 | u32{frame[13]}) == tap_type_;
    (tapped ? *tap_ : up).on_frame(frame);
  }
  ~NetDevice() = default;

 private:
  FrameSink* tap_ = nullptr;
  u16 tap_type_ = 0;
};
