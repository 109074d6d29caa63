// SPDX-License-Identifier: GPL-2.0-or-later
// The loop that all byte-pair encodings share: join the best pair of neighbours until none can be
// joined.
//
// A few symbols are scanned for the best pair each time. Many go through a heap, so that a word of
// a megabyte takes n log n steps. Both give the same result: lowest key first, leftmost of equals.
#pragma once

#include <algorithm>

#include "ai/tokenizer/tokenizer.h"

namespace ai {

// `key` orders pairs. `token` is the result of joining them.
struct MergePair {
  static constexpr u32 kNoKey = ~u32{0};
  u32 key = kNoKey;
  TokenId token = Tokenizer::kNoToken;
};

struct MergeSymbol {
  u32 begin = 0, size = 0;  // bytes of the text that it represents
  TokenId token = Tokenizer::kNoToken;
  MergePair with_next;
};

// Rules has `MergePair pair(const MergeSymbol& left, const MergeSymbol& right) const`.
template <class Rules>
class Merger {
 public:
  explicit Merger(const Rules& rules) : rules_(rules) {}

  void clear() { symbols_.clear(); }
  Result<void> add(MergeSymbol symbol) { return symbols_.push_back(symbol); }
  Result<void> run() {
    if (symbols_.size() > kScanned) return run_heap();
    run_scan();
    return {};
  }
  std::span<const MergeSymbol> symbols() const { return symbols_.view(); }

 private:
  static constexpr usize kScanned = 48;  // up to this many symbols, scanning is faster than a heap
  static constexpr u32 kNone = ~u32{0};

  void run_scan() {
    for (usize i = 0; i + 1 < symbols_.size(); i++) judge(i, i + 1);
    for (;;) {
      usize best = 0;
      u32 key = MergePair::kNoKey;
      for (usize i = 0; i + 1 < symbols_.size(); i++) {
        if (symbols_[i].with_next.key >= key) continue;
        key = symbols_[i].with_next.key;
        best = i;
      }
      if (key == MergePair::kNoKey) return;
      join(best, best + 1);
      symbols_.erase(best + 1);
      if (best + 1 < symbols_.size()) judge(best, best + 1);
      if (best > 0) judge(best - 1, best);
    }
  }

  Result<void> run_heap() {
    usize count = symbols_.size();
    if (count >= kNone) return fail(Errc::kInvalidArgument, "the text is too long to be encoded");
    TRY(next_.resize(count));
    TRY(previous_.resize(count));
    heap_.clear();
    for (u32 i = 0; i < count; i++) {
      next_[i] = i + 1 < count ? i + 1 : kNone;
      previous_[i] = i > 0 ? i - 1 : kNone;
    }
    for (u32 i = 0; i + 1 < count; i++) TRY(judge_and_queue(i));
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<u64>());
      u64 entry = heap_.back();
      heap_.pop_back();
      u32 left = static_cast<u32>(entry);
      // The entry is stale if the symbol was joined or now has another pair.
      if (symbols_[left].size == 0 || symbols_[left].with_next.key != entry >> 32) continue;
      u32 right = next_[left];
      join(left, right);
      symbols_[right].size = 0;
      next_[left] = next_[right];
      if (next_[left] != kNone) previous_[next_[left]] = left;
      TRY(judge_and_queue(left));
      if (previous_[left] != kNone) TRY(judge_and_queue(previous_[left]));
    }
    auto* last = std::remove_if(symbols_.begin(), symbols_.end(),
                                [](const MergeSymbol& s) { return s.size == 0; });
    symbols_.truncate(static_cast<usize>(last - symbols_.begin()));
    return {};
  }

  void judge(usize left, usize right) {
    symbols_[left].with_next = rules_.pair(symbols_[left], symbols_[right]);
  }
  Result<void> judge_and_queue(u32 left) {
    if (next_[left] == kNone) return {};
    judge(left, next_[left]);
    u32 key = symbols_[left].with_next.key;
    if (key == MergePair::kNoKey) return {};
    TRY(heap_.push_back(u64{key} << 32 | left));
    std::push_heap(heap_.begin(), heap_.end(), std::greater<u64>());
    return {};
  }
  void join(usize left, usize right) {
    symbols_[left].token = symbols_[left].with_next.token;
    symbols_[left].size += symbols_[right].size;
    symbols_[left].with_next = {};
  }

  const Rules& rules_;
  Vector<MergeSymbol> symbols_;
  Vector<u32> next_, previous_;
  Vector<u64> heap_;  // key in the upper half, symbol in the lower
};

}  // namespace ai
