// SPDX-License-Identifier: GPL-2.0-or-later
// Computes log probabilities from the model's own logits, as integers.
#include "ai/math/exp.h"
#include "ai/math/real.h"
#include "ai/text/candidates.h"
#include "ai/text/sampler.h"

namespace ai {
namespace {

// Rounds to millionths. Below -2147 the 32-bit number ends, far beyond any use.
i32 to_micro(double logprob) {
  double scaled = logprob * 1e6;
  if (!(scaled > -2147483647.0)) return -2147483647;
  return static_cast<i32>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

}  // namespace

double log_sum_exp(std::span<const float> logits) {
  float best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float v : logits) sum += static_cast<double>(exp(v - best));
  return static_cast<double>(best) + real::log(sum);
}

Result<LogProbabilities> LogProbabilities::create(u32 vocabulary, u32 top_capacity) {
  LogProbabilities p;
  TRY(p.logits_.resize(vocabulary));
  TRY(p.top_.reserve(top_capacity));
  p.top_capacity_ = std::min(top_capacity, vocabulary);
  return p;
}

void LogProbabilities::take(std::span<const float> logits, u32 top, SamplerWorkspace& workspace) {
  ASSERT(logits.size() == logits_.size());
  std::copy(logits.begin(), logits.end(), logits_.begin());
  log_sum_ = log_sum_exp(logits);
  top_.clear();
  if (top == 0) return;
  for (u32 id = 0; id < logits.size(); id++) workspace.keys_[id] = CandidateKey::of(logits[id], id);
  Candidates c(workspace.keys_.view());
  for (u32 i = 0; i < std::min(top, top_capacity_); i++)
    (void)top_.push_back({c.id(i), of_micro(c.id(i))});  // within the reserved capacity
}

i32 LogProbabilities::of_micro(TokenId id) const {
  return to_micro(static_cast<double>(logits_[id]) - log_sum_);
}

}  // namespace ai
