// SPDX-License-Identifier: GPL-2.0-or-later
// Divides the groups of a run of products among the workers. A plan gives each worker neighbouring
// groups, so that its memory accesses are streams. Workers that finish early steal, because cores
// are not equally fast: the host may be busy, or one core may have the memory to itself. A worker
// takes pieces from the head of its own share and, once that is empty, from the tails of others. It
// does not matter for the bits which worker computes a group.
#pragma once

#include <atomic>

#include "kernel/base/types.h"

namespace ai {

// Groups [first, last) of a run, numbered through all its products.
struct GroupRange {
  u32 first = 0, last = 0;
  u32 count() const { return last - first; }
};

// The part of a worker's share that is not taken yet: the number of the run (16 bits), first and
// last group (24 bits each). A word with an older run's number means that nothing was taken yet, so
// the shares need no preparation before a run.
struct alignas(64) Share {
  std::atomic<u64> word{0};
};
constexpr u32 kMostGroups = (1u << 24) - 1;

// Sizes in groups. Computing `least` groups takes much longer than moving a cache line between
// cores. After `most` groups, other threads of this CPU should get their turn.
struct PieceLimits {
  u32 least = 1, most = kMostGroups;
};

// A piece is a quarter of what is left, within the limits: few pieces are taken while there is much
// work, and the last ones are small.
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
    // Relaxed order is enough: the barrier at the end of the run orders the results.
    if (after == before ||
        share.word.compare_exchange_weak(before, after, std::memory_order_relaxed))
      return piece;
  }
}

}  // namespace ai
