// SPDX-License-Identifier: GPL-2.0-or-later
// Adds up the figures of answers and prints them.
#include "service/perf_log.h"

#include <algorithm>
#include <bit>

namespace service {
namespace {
constexpr u64 kNsPerSecond = 1'000'000'000;
}  // namespace

base::Decimal tokens_per_second(u64 tokens, u64 ns) {
  return base::ratio(tokens * kNsPerSecond, ns, 2);
}

base::Decimal milliseconds(u64 ns) {
  return base::ratio(ns, 1'000'000, 2);
}

PerfLog& perf_log() {
  static constinit PerfLog instance;
  return instance;
}

void PerfLog::begin_answer() {
  trace_.clear();
  whole_ = true;
}

// The engine keeps only the last 1024 gaps. Here every gap of the answer counts.
void PerfLog::measure_gaps() {
  Vector<u64> sorted;
  whole_ = whole_ && trace_.size() + 1 == last_.generated_tokens &&
           sorted.resize(trace_.size()).has_value();
  if (!whole_ || sorted.empty()) return;
  std::copy(trace_.begin(), trace_.end(), sorted.begin());
  std::sort(sorted.begin(), sorted.end());
  last_.decode_ns = 0;
  for (u64 gap : sorted) last_.decode_ns += gap;
  // Nearest rank: returns the smallest gap that at least `percent` of all gaps do not exceed.
  auto percentile = [&](u64 percent) { return sorted[(sorted.size() * percent + 99) / 100 - 1]; };
  last_.gap_p50_ns = percentile(50);
  last_.gap_p95_ns = percentile(95);
  last_.gap_p99_ns = percentile(99);
  last_.gap_max_ns = sorted.back();
}

void PerfLog::end_answer(const ai::Timings& t, ai::FinishReason reason) {
  last_ = t;
  reason_ = reason;
  measure_gaps();
  const ai::Timings& timings = last_;
  answers_++;
  cancelled_ += reason == ai::FinishReason::kCancelled ? 1 : 0;
  prompt_tokens_ += timings.prompt_tokens;
  cached_tokens_ += timings.cached_tokens;
  generated_tokens_ += timings.generated_tokens;
  prefill_ns_ += timings.prefill_ns;
  decode_ns_ += timings.decode_ns;
  decoded_gaps_ += timings.generated_tokens > 0 ? timings.generated_tokens - 1 : 0;
}

u64 PerfLog::prompt_token_ns() const {
  u64 read = prompt_tokens_ - std::min(cached_tokens_, prompt_tokens_);
  return read == 0 ? 0 : prefill_ns_ / read;
}

void PerfLog::add_gap(u64 ns) {
  whole_ = whole_ && trace_.push_back(ns).has_value();
  u64 us = std::max(ns / 1000, u64{1});
  usize bucket = std::min(static_cast<usize>(std::bit_width(us) - 1), kBuckets - 1);
  gaps_[bucket]++;
}

void PerfLog::print(base::Writer& out) const {
  if (answers_ == 0) {
    out.write("no answer yet\n");
    return;
  }
  const ai::Timings& t = last_;
  u32 read = t.prompt_tokens - std::min(t.cached_tokens, t.prompt_tokens);
  u32 gaps = t.generated_tokens > 0 ? t.generated_tokens - 1 : 0;
  base::format_to(out, "last answer\n");
  base::format_to(out, "  prompt        {} tokens, {} of them from the cache\n", t.prompt_tokens,
                  t.cached_tokens);
  base::format_to(out, "  prefill       {} ms, {} tok/s\n", milliseconds(t.prefill_ns),
                  tokens_per_second(read, t.prefill_ns));
  base::format_to(out, "  first token   {} ms after the question, {} ms of them queued\n",
                  milliseconds(t.first_token_ns), milliseconds(t.queued_ns));
  base::format_to(out, "  decode        {} tokens in {} ms, {} tok/s\n", t.generated_tokens,
                  milliseconds(t.decode_ns), tokens_per_second(gaps, t.decode_ns));
  base::format_to(out, "  gaps          p50 {}  p95 {}  p99 {}  max {} ms\n",
                  milliseconds(t.gap_p50_ns), milliseconds(t.gap_p95_ns),
                  milliseconds(t.gap_p99_ns), milliseconds(t.gap_max_ns));
  if (t.drafted_tokens > 0)
    base::format_to(out, "  speculation   {} of {} guessed tokens accepted\n", t.accepted_tokens,
                    t.drafted_tokens);
  if (t.model_drafted_tokens + t.model_off_tokens > 0)
    base::format_to(out,
                    "  draft model   {} of {} accepted of those it guessed, off for {} tokens\n",
                    t.model_accepted_tokens, t.model_drafted_tokens, t.model_off_tokens);
  u64 all_read = prompt_tokens_ - std::min(cached_tokens_, prompt_tokens_);
  base::format_to(out, "since boot\n  answers       {}, {} of them stopped by Ctrl-C\n", answers_,
                  cancelled_);
  base::format_to(out, "  prompt        {} tokens, {} of them from the cache, {} tok/s\n",
                  prompt_tokens_, cached_tokens_, tokens_per_second(all_read, prefill_ns_));
  base::format_to(out, "  decode        {} tokens, {} tok/s\n", generated_tokens_,
                  tokens_per_second(decoded_gaps_, decode_ns_));
  print_histogram(out);
}

void PerfLog::print_trace(base::Writer& out) const {
  if (answers_ == 0) return out.write("no answer yet\n");
  const ai::Timings& t = last_;
  out.write("event,ns,tokens\n");
  base::format_to(out, "submit,0,{}\n", t.prompt_tokens);
  base::format_to(out, "begin,{},{}\n", t.queued_ns, t.cached_tokens);
  if (t.prefill_ns > 0)
    base::format_to(out, "read,{},{}\n", t.queued_ns + t.prefill_ns, t.prompt_tokens);
  u64 at = t.first_token_ns;
  if (t.generated_tokens > 0) base::format_to(out, "token,{},1\n", at);
  u32 token = 1;
  for (u64 gap : trace_) base::format_to(out, "token,{},{}\n", at += gap, ++token);
  if (t.drafted_tokens > 0)
    base::format_to(out, "guessed,{},{}\naccepted,{},{}\n", at, t.drafted_tokens, at,
                    t.accepted_tokens);
  bool cut = reason_ == ai::FinishReason::kCancelled;
  base::format_to(out, "{},{},{}\n", cut ? "stopped" : "end", at, t.generated_tokens);
  if (!whole_) out.write("incomplete: memory ran out before the last event\n");
}

void PerfLog::print_histogram(base::Writer& out) const {
  u32 most = *std::max_element(std::begin(gaps_), std::end(gaps_));
  if (most == 0) return;
  constexpr u32 kBar = 40;  // columns of the longest bar
  out.write("  gaps between tokens as they were shown\n");
  usize first = 0, last = kBuckets;
  while (gaps_[first] == 0) first++;
  while (gaps_[last - 1] == 0) last--;
  for (usize i = first; i < last; i++) {
    base::format_to(out, "  from {:>10} ms {:>7} ", base::ratio(u64{1} << i, 1000, 3), gaps_[i]);
    u32 bar = static_cast<u32>((u64{gaps_[i]} * kBar + most - 1) / most);
    for (u32 j = 0; j < bar; j++) out.write("#");
    out.write("\n");
  }
}

}  // namespace service
