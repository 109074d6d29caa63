// SPDX-License-Identifier: GPL-2.0-or-later
// Compares the memory of each purpose, and the heap, after a round of stability.
#include <algorithm>

#include "console/check/stability.h"

namespace console {
namespace {

constexpr u64 kSlackBytes = kMiB;  // caches and the network may have this much more
constexpr u64 kHeapSlackBytes = 256 * kKiB;

// Purposes whose pages must be the same after every round. The others may grow by the slack.
constexpr mm::Purpose kSteady[] = {mm::Purpose::kModel,   mm::Purpose::kWeights,
                                   mm::Purpose::kKvCache, mm::Purpose::kEngine,
                                   mm::Purpose::kStacks,  mm::Purpose::kOther};

}  // namespace

MemoryWatch::Leak MemoryWatch::after_round() {
  mm::Usage now = mm::usage();
  u64 heap = mm::heap_usage().live_bytes;
  bool warm = rounds_++ >= kWarmRounds;
  Leak leak;
  if (warm && heap > most_heap_ + kHeapSlackBytes) leak = {"heap", heap - most_heap_};
  if (!warm) most_heap_ = std::max(most_heap_, heap);
  for (usize i = 0; i < std::size(now.bytes); i++) {
    auto purpose = static_cast<mm::Purpose>(i);
    if (purpose == mm::Purpose::kFree || purpose == mm::Purpose::kFirmware) continue;
    bool steady = std::ranges::find(kSteady, purpose) != std::end(kSteady);
    u64 bytes = now.bytes[i], &most = most_.bytes[i];
    growing_[i] = rounds_ > 1 && bytes > last_.bytes[i] ? growing_[i] + 1 : 0;
    if (warm && bytes > most + (steady ? 0 : kSlackBytes))
      leak = {mm::purpose_name(purpose), bytes - most};
    else if (steady && growing_[i] >= kGrowing)
      leak = {mm::purpose_name(purpose), bytes - last_.bytes[i]};
    if (!warm) most = std::max(most, bytes);
  }
  last_ = now;
  return leak;
}

}  // namespace console
