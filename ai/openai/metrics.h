// SPDX-License-Identifier: GPL-2.0-or-later
// The numbers of /metrics: counters since boot and two histograms, all integers.
#pragma once

#include "kernel/base/format.h"

namespace ai::openai {

// Upper bounds in microseconds. The last bucket has none.
constexpr u64 kLatencyBounds[] = {1'000,     2'000,     5'000,      10'000,     20'000,
                                  50'000,    100'000,   200'000,    500'000,    1'000'000,
                                  2'000'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};

struct Histogram {
  u64 buckets[std::size(kLatencyBounds) + 1] = {};
  u64 sum_us = 0, count = 0;

  void add(u64 ns) {
    u64 us = ns / 1000;
    usize i = 0;
    while (i < std::size(kLatencyBounds) && us > kLatencyBounds[i]) i++;
    buckets[i]++;
    sum_us += us;
    count++;
  }
  void write(base::Writer& out, std::string_view name, std::string_view help) const;
};

struct Metrics {
  u64 requests = 0, answered = 0, failed = 0, gone = 0, refused = 0;
  u64 tokens_generated = 0, prompt_tokens = 0, cached_tokens = 0;
  u64 prefill_ns = 0, decode_ns = 0, decoded_tokens = 0;
  u64 last_ttft_ms = 0, last_tok_s = 0;
  Histogram ttft, gaps;

  void gap(u64 ns) { gaps.add(ns); }
};

}  // namespace ai::openai
