// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the clock of one request.
#include "ai/engine/timings.h"

namespace ai {

Result<void> RequestClock::create(u64 now_ns) {
  submitted_ns_ = now_ns;
  return gaps_.resize(kGaps);
}

void RequestClock::work_begins(u64 now_ns) {
  if (began_ns_ == 0) began_ns_ = now_ns;
}

void RequestClock::prompt_done(u64 now_ns) {
  if (prompt_done_ns_ == 0) prompt_done_ns_ = now_ns;
}

void RequestClock::token(u64 now_ns) {
  if (first_token_ns_ == 0) {
    first_token_ns_ = now_ns;
  } else {
    u64 gap = now_ns - last_ns_;
    gaps_[gap_count_++ % kGaps] = gap;
    longest_ns_ = std::max(longest_ns_, gap);
  }
  last_ns_ = now_ns;
}

void RequestClock::finish(Timings& out) {
  out.queued_ns = began_ns_ == 0 ? 0 : began_ns_ - submitted_ns_;
  out.prefill_ns = prompt_done_ns_ == 0 ? 0 : prompt_done_ns_ - began_ns_;
  out.first_token_ns = first_token_ns_ == 0 ? 0 : first_token_ns_ - submitted_ns_;
  out.decode_ns = last_ns_ - first_token_ns_;
  out.gap_max_ns = longest_ns_;
  u64 count = std::min<u64>(gap_count_, kGaps);
  if (count == 0) return;
  std::sort(gaps_.begin(), gaps_.begin() + count);
  // Nearest rank: returns the smallest gap that at least `percent` of all gaps do not exceed.
  auto percentile = [&](u64 percent) { return gaps_[(count * percent + 99) / 100 - 1]; };
  out.gap_p50_ns = percentile(50);
  out.gap_p95_ns = percentile(95);
  out.gap_p99_ns = percentile(99);
}

}  // namespace ai
