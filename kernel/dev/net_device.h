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
  // Delivers at most `budget` frames; returns how many.
  virtual u32 poll(FrameSink& up, u32 budget) = 0;
  // Woken from the interrupt handler when there may be frames, room to send or a link change.
  virtual sched::WaitQueue& events() = 0;

 protected:
  ~NetDevice() = default;
};
