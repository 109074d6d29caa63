// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers pairs of numbers in the order in which they came. For threads only.
#pragma once

#include "kernel/base/containers.h"

namespace ai {

class PairIndex {
 public:
  Result<u32> add(u32 a, u32 b) {
    if (pairs_.size() * 2 >= slots_.size()) TRY(grow());
    u64 pair = u64{a} << 32 | b;
    u32* slot = place(pair);
    if (*slot == 0) {
      TRY(pairs_.push_back(pair));
      *slot = size();
    }
    return *slot - 1;
  }
  u32 size() const { return static_cast<u32>(pairs_.size()); }
  u32 first(u32 i) const { return static_cast<u32>(pairs_[i] >> 32); }
  u32 second(u32 i) const { return static_cast<u32>(pairs_[i]); }

 private:
  u32* place(u64 pair) {
    usize at = pair * 0x9e3779b97f4a7c15 >> 40 & (slots_.size() - 1);
    while (slots_[at] != 0 && pairs_[slots_[at] - 1] != pair) at = (at + 1) & (slots_.size() - 1);
    return &slots_[at];
  }
  Result<void> grow() {
    usize size = slots_.empty() ? 64 : slots_.size() * 4;
    slots_.clear();
    TRY(slots_.resize(size));
    for (u32 i = 0; i < pairs_.size(); i++) *place(pairs_[i]) = i + 1;
    return {};
  }
  Vector<u64> pairs_;
  Vector<u32> slots_;  // number + 1; 0 = free
};

}  // namespace ai
