// SPDX-License-Identifier: GPL-2.0-or-later
// The clock of one request. It keeps the gaps between tokens and reports percentiles as integers.
#pragma once

#include "ai/engine/engine.h"

namespace ai {

class RequestClock {
 public:
  static constexpr u32 kGaps = 1024;  // only the last kGaps gaps are kept; percentiles cover these

  Result<void> create(u64 now_ns);
  void work_begins(u64 now_ns);  // may be called again, for a request that was put back
  void prompt_done(u64 now_ns);
  void token(u64 now_ns);  // a token came out
  // Sorts the kept gaps and fills `out`. Called once, at the end.
  void finish(Timings& out);

 private:
  u64 submitted_ns_ = 0, began_ns_ = 0, prompt_done_ns_ = 0, first_token_ns_ = 0, last_ns_ = 0;
  u64 longest_ns_ = 0, gap_count_ = 0;
  Vector<u64> gaps_;  // a ring of kGaps
};

}  // namespace ai
