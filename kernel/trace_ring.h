// SPDX-License-Identifier: GPL-2.0-or-later
// The ring of one CPU's trace events. Its CPU writes, interrupts of that CPU may write in between,
// and any CPU may read at the same time.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "kernel/trace.h"

namespace trace {

constexpr u32 kRingEvents = 2048;  // 64 KiB; a power of two

// `kEvents` is a power of two.
template <u32 kEvents>
class RingOf {
 public:
  // A row may be overwritten while it is read, so it is read word by word and checked afterwards.
  struct Row {
    std::array<std::atomic<u64>, sizeof(Event) / sizeof(u64)> words;
  };

  void use(Row* rows) { rows_ = rows; }
  bool ready() const { return rows_ != nullptr; }

  // Called only by the ring's CPU. An interrupt may come in between and record, too.
  void record(const Event& event) {
    u32 slot = begin();
    write(slot, event);
    end();
  }
  // The steps of record(). A row becomes visible after the end() of the outermost begin(), because
  // an interrupt must not publish the row that it interrupted.
  u32 begin() {
    writers_.store(writers_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return taken_.fetch_add(1, std::memory_order_relaxed);
  }
  void write(u32 slot, const Event& event) {
    auto words = std::bit_cast<std::array<u64, sizeof(Event) / sizeof(u64)>>(event);
    Row& row = rows_[slot % kEvents];
    // A reader that sees the new words also sees that the slot was taken (read() checks it).
    std::atomic_thread_fence(std::memory_order_release);
    for (usize i = 0; i < words.size(); i++)
      row.words[i].store(words[i], std::memory_order_relaxed);
  }
  void end() {
    u32 outer = writers_.load(std::memory_order_relaxed) - 1;
    writers_.store(outer, std::memory_order_relaxed);
    if (outer == 0)
      written_.store(taken_.load(std::memory_order_relaxed), std::memory_order_release);
  }

  // Rows [first(), last()) may be read, unless read() says that one was overwritten.
  u32 last() const { return ready() ? written_.load(std::memory_order_acquire) : 0; }
  u32 first() const { return last() - std::min(last(), kEvents); }
  // Returns false if the row was overwritten meanwhile.
  bool read(u32 slot, Event& out) const {
    std::array<u64, sizeof(Event) / sizeof(u64)> words{};
    const Row& row = rows_[slot % kEvents];
    for (usize i = 0; i < words.size(); i++)
      words[i] = row.words[i].load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (taken_.load(std::memory_order_relaxed) - slot > kEvents) return false;
    out = std::bit_cast<Event>(words);
    return out.name != nullptr;
  }
  // Earlier rows are not read any more.
  void clear() {
    if (!ready()) return;
    for (u32 i = 0; i < kEvents; i++)
      for (std::atomic<u64>& word : rows_[i].words) word.store(0, std::memory_order_relaxed);
  }

 private:
  Row* rows_ = nullptr;
  std::atomic<u32> taken_{0};    // slots handed out
  std::atomic<u32> written_{0};  // slots that hold their event
  std::atomic<u32> writers_{0};  // writers that have begun and not ended
};

using Ring = RingOf<kRingEvents>;

}  // namespace trace
