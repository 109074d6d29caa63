// SPDX-License-Identifier: GPL-2.0-or-later
// Moves memory that is only read any more into huge pages, behind the back of its readers: weights
// are read from end to end for each token, and from pages of 4 KB that is 15 to 25 % slower (Zen
// 4).
#pragma once

#include <pthread.h>

#include <atomic>
#include <span>

#include "kernel/base/types.h"

namespace host {

class HugeMover {
 public:
  HugeMover() = default;
  ~HugeMover() { stop(); }
  HugeMover(const HugeMover&) = delete;
  HugeMover& operator=(const HugeMover&) = delete;

  // `memory` begins at a huge page and is a mapping of its own. Its bytes do not change and stay
  // readable at every moment; from now on nobody writes to it. Only once.
  void start(std::span<Byte> memory);
  // The piece on its way is the last one.
  void stop();
  // How much of it has been moved.
  u64 moved() const { return moved_.load(std::memory_order_relaxed); }

 private:
  void run();
  bool move(usize at, usize bytes);

  std::span<Byte> memory_;
  pthread_t thread_{};
  bool started_ = false;
  std::atomic<bool> stopped_{false};
  std::atomic<u64> moved_{0};
};

}  // namespace host
