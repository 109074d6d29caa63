// SPDX-License-Identifier: GPL-2.0-or-later
// From logits to one token. Integers outside (console code has no float), floats inside.
//
// Order (llama.cpp's): logit bias, penalties, DRY, top-k, typical, top-p, min-p, XTC, temperature,
// draw; with mirostat: logit bias, penalties, DRY, temperature, mirostat. Ties go to the lowest id.
// Temperature 0 takes the highest logit after bias, penalties and DRY, and draws nothing.
// The same seed, logits and history give the same token on every machine.
#pragma once

#include "ai/tokenizer/tokenizer.h"

namespace ai {

constexpr i32 kMilli = 1000;  // parameters are thousandths: 0.7 is 700

struct LogitBias {
  TokenId token;
  i32 bias_milli;
};

struct SamplerParams {
  i32 temperature_milli = 0;        // 0 = greedy
  u32 top_k = 40;                   // 0 = all
  i32 top_p_milli = 950;            // 1000 = off
  i32 min_p_milli = 50;             // 0 = off
  i32 typical_milli = 1000;         // 1000 = off
  i32 repeat_penalty_milli = 1000;  // 1000 = off
  i32 presence_penalty_milli = 0;
  i32 frequency_penalty_milli = 0;
  u32 penalty_last_n = 64;       // tokens of prompt and answer looked at; 0 = none
  i32 dry_multiplier_milli = 0;  // 0 = off
  i32 dry_base_milli = 1750;
  u32 dry_allowed_length = 2;
  i32 xtc_probability_milli = 0;  // 0 = off
  i32 xtc_threshold_milli = 100;  // above 500 = off: no two tokens can have that much
  u32 mirostat = 0;               // 0 or 2
  i32 mirostat_tau_milli = 5000;
  i32 mirostat_eta_milli = 100;
  u64 seed = 0;
};

// kInvalidArgument names the parameter that is out of its range.
Result<void> check_sampler_params(const SamplerParams& params);

// kCorrupt when a logit is NaN or infinite: checked before anything may mask tokens.
Result<void> check_finite(std::span<const float> logits);

// xoshiro256** (Blackman and Vigna), seeded by splitmix64.
class Random {
 public:
  explicit Random(u64 seed);
  u64 next();
  double uniform();  // [0, 1): 53 bits

 private:
  u64 state_[4];
};

// Scratch for one pick at a time: made once at load, shared by every request.
class SamplerWorkspace {
 public:
  static Result<SamplerWorkspace> create(u32 vocabulary, u32 context);
  // DRY never matches across these tokens. Default: none.
  void add_dry_breaker(TokenId id);
  bool is_dry_breaker(TokenId id) const;
  static u64 bytes(u32 vocabulary, u32 context);

 private:
  friend class Sampler;
  friend class LogProbabilities;
  Vector<u64> keys_;      // (vocabulary) candidates: logit and id as one ordered number
  Vector<u64> scratch_;   // (vocabulary)
  Vector<u32> counts_;    // (vocabulary) all zero between picks
  Vector<u32> repeats_;   // (context)
  Vector<u64> breakers_;  // (vocabulary / 64) bits
};

class Sampler {
 public:
  // Params are checked by check_sampler_params; bias ids must be below `vocabulary`.
  static Result<Sampler> create(const SamplerParams& params, std::span<const LogitBias> bias,
                                u32 vocabulary);
  // `logits` are changed; minus infinity excludes a token. `history` is prompt and answer so far.
  // kCorrupt for NaN, kNotFound when every token is excluded. Allocates nothing.
  Result<TokenId> pick(std::span<float> logits, std::span<const TokenId> history,
                       SamplerWorkspace& workspace);
  const SamplerParams& params() const { return params_; }
  std::span<const LogitBias> bias() const { return bias_.view(); }

 private:
  explicit Sampler(const SamplerParams& params);
  void penalize(std::span<float> logits, std::span<const TokenId> history,
                SamplerWorkspace& workspace) const;
  void dry(std::span<float> logits, std::span<const TokenId> history,
           SamplerWorkspace& workspace) const;
  Result<TokenId> draw_mirostat(std::span<float> logits, SamplerWorkspace& workspace);

  SamplerParams params_;
  Vector<LogitBias> bias_;
  Random random_;
  float mirostat_mu_;
};

struct TokenLogprob {
  TokenId id;
  i32 logprob_micro;  // natural log, millionths
};

// Log probabilities of the model's own logits, before bias, penalties and grammar.
class LogProbabilities {
 public:
  static Result<LogProbabilities> create(u32 vocabulary, u32 top_capacity);
  // Keeps a copy of the logits, so that of() answers after they have been changed.
  void take(std::span<const float> logits, u32 top, SamplerWorkspace& workspace);
  i32 of_micro(TokenId id) const;
  std::span<const TokenLogprob> top() const { return top_.view(); }

 private:
  Vector<float> logits_;  // (vocabulary)
  Vector<TokenLogprob> top_;
  u32 top_capacity_ = 0;
  double log_sum_ = 0;  // log of the sum of exp(logit)
};

// log(sum(exp(logits))), the sum in ascending order of ids.
double log_sum_exp(std::span<const float> logits);

}  // namespace ai
