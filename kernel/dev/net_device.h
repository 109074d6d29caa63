// SPDX-License-Identifier: GPL-2.0-or-later
// Network interfaces: outgoing frames are copied, incoming ones are polled after a wake-up.
// The driver owns the device, its name and its queue. All members are for threads of CPU 0, and
// none of them sleeps.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "kernel/base/result.h"
#include "kernel/sched/thread.h"

using MacAddress = std::array<u8, 6>;

// Receives frames. The span is valid only during the call.
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
  // Copies the frame. Returns kBusy if the ring is full.
  virtual Result<void> transmit(std::span<const Byte> frame) = 0;
  // Between hold() and release() frames may be collected, so that the device is notified once for
  // many. With `may_join`, many frames of one TCP connection may be handed to it as a single long
  // one, which it cuts itself.
  virtual void hold(bool) {}
  virtual void release() {}
  // Delivers at most `budget` frames and returns how many.
  virtual u32 poll(FrameSink& up, u32 budget) = 0;
  // The interrupt handler wakes this queue when there may be frames, room to send, or a link
  // change.
  virtual sched::WaitQueue& events() = 0;

  // Diverts frames of one EtherType to `sink`, whoever polls, so that a card can be tested while a
  // network stack uses it. Null ends that. `sink` stays the caller's, who ends the tap before it
  // goes.
  void tap(u16 ether_type, FrameSink* sink) {
    tap_type_ = ether_type;
    tap_ = sink;
  }

 protected:
  // poll() calls this for each frame.
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
