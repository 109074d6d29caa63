// SPDX-License-Identifier: GPL-2.0-or-later
// Who may hold a lease on a loaded model, and what a load is told that meets the lease.
#pragma once

#include "kernel/base/types.h"

namespace service {

// What a load or unload does when it meets the lease.
enum class Hold : u8 {
  kAnswer,   // ends with an answer: a load goes on, and the old model stays until the lease ends
  kMeasure,  // a command that works on the model for long: a load is refused and names it
};

struct Holder {
  const char* name;
  const char* busy;  // what a refused load says: a literal, as every Error's text
  Hold hold;
};

inline constexpr Holder kRequestHolder{"request", "the model answers a request", Hold::kAnswer};
inline constexpr Holder kConsoleHolder{"console", "the model answers at the console",
                                       Hold::kAnswer};
inline constexpr Holder kStabilityHolder{
    "stability",
    "the model is in use by `stability`: wait for its end, or stop it at the console with Ctrl-C",
    Hold::kMeasure};
inline constexpr Holder kBenchHolder{
    "bench", "the model is in use by `bench`: wait for its end, or stop it at the console",
    Hold::kMeasure};
inline constexpr Holder kProfileHolder{
    "perf profile",
    "the model is in use by `perf profile`: wait for its end, or stop it at the console",
    Hold::kMeasure};
inline constexpr Holder kPerplexityHolder{
    "perplexity",
    "the model is in use by `perplexity`: wait for its end, or stop it at the console",
    Hold::kMeasure};
inline constexpr Holder kVerifyHolder{
    "model verify",
    "the model is in use by `model verify`: wait for its end, or stop it at the console",
    Hold::kMeasure};

}  // namespace service
