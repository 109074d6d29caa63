// SPDX-License-Identifier: GPL-2.0-or-later
// What `perf` shows: the last answer, the sums since boot, and how evenly tokens came.
#pragma once

#include "ai/engine/engine.h"

namespace service {

class PerfLog {
 public:
  void begin_answer();
  void add_gap(u64 ns);  // between two tokens of it
  void end_answer(const ai::Timings& timings, ai::FinishReason reason);
  void reset() { *this = PerfLog(); }

  u32 answers() const { return answers_; }
  const ai::Timings& last() const { return last_; }
  // Of all prompts so far; 0 when there was none.
  u64 prompt_token_ns() const;
  void print(base::Writer& out) const;
  // The last answer event by event, as CSV: all that print() says can be computed from it.
  void print_trace(base::Writer& out) const;

 private:
  // Bucket i holds gaps of [2^i, 2^(i+1)) microseconds.
  static constexpr usize kBuckets = 26;
  void measure_gaps();
  void print_histogram(base::Writer& out) const;

  ai::Timings last_;
  Vector<u64> trace_;  // gaps of the last answer, in order
  bool whole_ = true;  // trace_ has all of them
  ai::FinishReason reason_ = ai::FinishReason::kStop;
  u32 answers_ = 0, cancelled_ = 0;
  u64 prompt_tokens_ = 0, cached_tokens_ = 0, generated_tokens_ = 0;
  u64 prefill_ns_ = 0, decode_ns_ = 0, decoded_gaps_ = 0;
  u32 gaps_[kBuckets] = {};
};

PerfLog& perf_log();

// Thousandths of tokens a second: `tokens` in `ns`.
base::Decimal tokens_per_second(u64 tokens, u64 ns);
base::Decimal milliseconds(u64 ns);

}  // namespace service
