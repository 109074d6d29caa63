// SPDX-License-Identifier: GPL-2.0-or-later
// The data behind `perf`: the last answer, sums since boot, and how evenly tokens arrived. For
// threads of CPU 0: the engine's thread adds gaps, the shell's thread does the rest.
#pragma once

#include "ai/engine/engine.h"

namespace service {

class PerfLog {
 public:
  void begin_answer();
  void add_gap(u64 ns);  // between two tokens of the answer
  void end_answer(const ai::Timings& timings, ai::FinishReason reason);
  void reset() { *this = PerfLog(); }

  u32 answers() const { return answers_; }
  const ai::Timings& last() const { return last_; }
  // Returns the mean time per prompt token over all prompts so far, or 0.
  u64 prompt_token_ns() const;
  void print(base::Writer& out) const;
  // Prints the last answer event by event as CSV, from which everything in print() can be computed.
  void print_trace(base::Writer& out) const;

 private:
  // Bucket i holds gaps of [2^i, 2^(i+1)) microseconds.
  static constexpr usize kBuckets = 26;
  void measure_gaps();
  void print_histogram(base::Writer& out) const;

  ai::Timings last_;
  Vector<u64> trace_;  // gaps of the last answer in nanoseconds, in order
  bool whole_ = true;  // trace_ is complete
  ai::FinishReason reason_ = ai::FinishReason::kStop;
  u32 answers_ = 0, cancelled_ = 0;
  u64 prompt_tokens_ = 0, cached_tokens_ = 0, generated_tokens_ = 0;
  u64 prefill_ns_ = 0, decode_ns_ = 0, decoded_gaps_ = 0;
  u32 gaps_[kBuckets] = {};
};

PerfLog& perf_log();

// Returns the rate in thousandths of tokens a second.
base::Decimal tokens_per_second(u64 tokens, u64 ns);
base::Decimal milliseconds(u64 ns);

}  // namespace service
