// SPDX-License-Identifier: GPL-2.0-or-later
// The tokens that a sampler still considers, best first, sorted only as far as somebody looks.
#pragma once

#include <algorithm>
#include <bit>
#include <span>

#include "kernel/base/containers.h"

namespace ai {

// A candidate packed into one number, whose descending order is logit descending, then id
// ascending. The upper half is the logit's bits made monotonic, the lower half the complement of
// the id.
class CandidateKey {
 public:
  static u64 of(float logit, u32 id) {
    u32 bits = std::bit_cast<u32>(logit + 0.0f);  // -0 becomes +0: they tie
    bits ^= (bits >> 31) != 0 ? ~u32{0} : u32{1} << 31;
    return u64{bits} << 32 | static_cast<u32>(~id);
  }
  static u32 id(u64 key) { return ~static_cast<u32>(key); }
  static float logit(u64 key) {
    u32 bits = static_cast<u32>(key >> 32);
    bits ^= (bits >> 31) != 0 ? u32{1} << 31 : ~u32{0};
    return std::bit_cast<float>(bits);
  }
};

class Candidates {
 public:
  // `keys` may be in any order. The caller owns the storage.
  explicit Candidates(std::span<u64> keys) : keys_(keys) {}

  usize size() const { return keys_.size(); }
  float logit(usize rank) { return CandidateKey::logit(at(rank)); }
  u32 id(usize rank) { return CandidateKey::id(at(rank)); }
  u64 at(usize rank) {
    if (rank >= sorted_) sort_to(std::max<usize>(rank + 1, 64));
    return keys_[rank];
  }
  std::span<u64> unsorted() { return keys_; }  // all candidates, in no particular order
  void keep_first(usize count) {
    if (count < keys_.size()) sort_to(count);
    keys_ = keys_.first(std::min(count, keys_.size()));
  }
  void drop_first(usize count) {
    sort_to(count);
    keys_ = keys_.subspan(count);
    sorted_ -= count;
  }
  void sort_all() { sort_to(keys_.size()); }

 private:
  // The sorted part grows by factors of four, so that looking at a few ranks of a large set stays
  // cheap.
  void sort_to(usize wanted) {
    wanted = std::min(std::max(wanted, sorted_ * 4), keys_.size());
    if (wanted <= sorted_) return;
    auto first = keys_.begin() + static_cast<isize>(sorted_);
    auto last = keys_.begin() + static_cast<isize>(wanted);
    if (last != keys_.end()) std::nth_element(first, last, keys_.end(), std::greater<u64>());
    std::sort(first, last, std::greater<u64>());
    sorted_ = wanted;
  }
  using isize = std::ptrdiff_t;

  std::span<u64> keys_;
  usize sorted_ = 0;
};

}  // namespace ai
