// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps bytes that an interrupt has received and the console has not read yet. It has one producer
// and one consumer.
#pragma once

#include <array>
#include <atomic>

#include "kernel/base/types.h"

namespace serial {

class ReceiveRing {
 public:
  // Called by the interrupt.
  bool full() const {
    return head_.load(std::memory_order_relaxed) - tail_.load(std::memory_order_acquire) ==
           bytes_.size();
  }
  void put(u8 byte) {
    u32 head = head_.load(std::memory_order_relaxed);
    bytes_[head % bytes_.size()] = byte;
    head_.store(head + 1, std::memory_order_release);
  }
  // Called by the console. Returns the oldest byte or -1.
  int take() {
    u32 tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return -1;
    u8 byte = bytes_[tail % bytes_.size()];
    tail_.store(tail + 1, std::memory_order_release);
    return byte;
  }
  bool empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_relaxed);
  }

 private:
  std::array<u8, 1024> bytes_{};
  std::atomic<u32> head_{0}, tail_{0};
};

}  // namespace serial
