// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of lease holders, and the error that a load gets when such a lease is in its way.
#pragma once

#include "kernel/base/types.h"

namespace service {

// How a load or unload treats the lease.
enum class Hold : u8 {
  kAnswer,   // ends soon, with an answer: a load goes on, and the old model stays until then
  kMeasure,  // held by a long command: a load is refused and names the command
};

struct Holder {
  const char* name;
  const char* busy;  // the refused load's error text; a literal, as every Error's text
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
inline constexpr Holder kImportHolder{
    "model import",
    "the model is being copied by `model import`: wait for its end, or stop it at the console",
    Hold::kMeasure};

}  // namespace service
