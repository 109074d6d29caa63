// SPDX-License-Identifier: GPL-2.0-or-later
// A disk for tests of experts that stay in their file: reads end in a random order and after random
// delays, fail where a test says so, and are counted.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "ai/file_reader.h"
#include "kernel/base/test.h"

class TestExpertReader final : public ai::FileReader {
 public:
  explicit TestExpertReader(std::span<const Byte> file, u32 seed = 1) : file_(file), dice_(seed) {}

  void begin(ai::FileRead& read) override {
    ASSERT(read.offset % ai::kReadAlignment == 0 && read.out.size() % ai::kReadAlignment == 0);
    ASSERT(reinterpret_cast<usize>(read.out.data()) % ai::kReadAlignment == 0 && read.ended);
    read.ended = false;
    queue_.push_back(&read);
    count++;
    read_at[read.offset]++;
    most_under_way = std::max(most_under_way, queue_.size());
  }
  void start() override {}
  // Ends some of the reads, or none.
  void wait() override {
    waits++;
    if (on_wait) on_wait();
    std::shuffle(queue_.begin(), queue_.end(), dice_);
    for (usize ends = dice_() % 4; ends > 0 && !queue_.empty(); ends--) end_one();
  }
  void stop() override {
    while (!queue_.empty()) {
      ai::FileRead& read = *queue_.back();
      queue_.pop_back();
      read.status = fail(Errc::kCancelled, "stopped");
      read.ended = true;
    }
  }
  bool idle() const { return queue_.empty(); }

  u64 count = 0, waits = 0;
  usize most_under_way = 0;
  std::map<u64, u32> read_at;  // how often each offset was read
  std::set<u64> bad;           // offsets at which the disk has no good sectors
  u64 fail_nth = 0;            // the read that fails, once; 0: none
  bool cut = false;            // the file has become shorter than its header says
  std::function<void()> on_wait;

 private:
  void end_one() {
    ai::FileRead& read = *queue_.back();
    queue_.pop_back();
    read.status = serve(read);
    read.ended = true;
  }
  Result<void> serve(const ai::FileRead& read) {
    served_++;
    if (served_ == fail_nth || bad.contains(read.offset))
      return fail(Errc::kIo, "input or output failed");
    usize there = read.offset < file_.size() ? file_.size() - read.offset : 0;
    usize bytes = std::min(there, read.out.size());
    if (bytes < read.least || cut) return fail(Errc::kIo, "the file is shorter than it was");
    std::memcpy(read.out.data(), file_.data() + read.offset, bytes);
    return {};
  }

  std::span<const Byte> file_;
  std::mt19937 dice_;
  std::vector<ai::FileRead*> queue_;
  u64 served_ = 0;
};

// An engine owns its reader, and a test looks at the disk behind it.
class BorrowedReader final : public ai::FileReader {
 public:
  explicit BorrowedReader(ai::FileReader& disk) : disk_(disk) {}
  void begin(ai::FileRead& read) override { disk_.begin(read); }
  void start() override { disk_.start(); }
  void wait() override { disk_.wait(); }
  void stop() override { disk_.stop(); }

 private:
  ai::FileReader& disk_;
};
