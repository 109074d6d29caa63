// SPDX-License-Identifier: GPL-2.0-or-later
// Who computes which groups of a run of products: a plan that gives each worker neighbouring groups
// (its pages, its streams), and stealing for when cores are not equally fast, as under a busy host
// or beside a core that has the memory for itself. A worker takes pieces from the head of its own
// share and, when that is empty, from the tails of others'. Who computes a group leaves no trace in
// the bits.
#pragma once

#include <atomic>

#include "kernel/base/types.h"

namespace ai {

// Groups [first, last) of a run, counted through all its products.
struct GroupRange {
  u32 first = 0, last = 0;
  u32 count() const { return last - first; }
};

// What is left of a worker's share: the number of the run (16 bits), first and last (24 each). A
// word of an earlier run means that nobody has taken anything yet, so no run has to prepare them.
struct alignas(64) Share {
  std::atomic<u64> word{0};
};
constexpr u32 kMostGroups = (1u << 24) - 1;

// In groups: for the time of `least` the exchange of a cache line is little; after `most` others on
// this CPU shall have their turn.
struct PieceLimits {
  u32 least = 1, most = kMostGroups;
};

// A piece is a quarter of what is left, so that few are taken while there is much and the last ones
// are small, within the limits.
enum class End : u8 { kHead, kTail };
inline GroupRange take_piece(Share& share, u16 run, GroupRange planned, PieceLimits limits,
                             End end) {
  u64 before = share.word.load(std::memory_order_relaxed);
  for (;;) {
    GroupRange left = planned;
    if (before >> 48 == run)
      left = {static_cast<u32>(before >> 24) & kMostGroups, static_cast<u32>(before) & kMostGroups};
    u32 part = left.count() / 4 > limits.least ? left.count() / 4 : limits.least;
    if (part > limits.most) part = limits.most;
    if (part > left.count()) part = left.count();
    GroupRange piece = end == End::kHead ? GroupRange{left.first, left.first + part}
                                         : GroupRange{left.last - part, left.last};
    GroupRange rest =
        end == End::kHead ? GroupRange{piece.last, left.last} : GroupRange{left.first, piece.first};
    u64 after = u64{run} << 48 | u64{rest.first} << 24 | rest.last;
    // Nothing else is handed over here: the barrier orders the results.
    if (after == before ||
        share.word.compare_exchange_weak(before, after, std::memory_order_relaxed))
      return piece;
  }
}

}  // namespace ai
