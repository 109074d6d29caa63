// SPDX-License-Identifier: GPL-2.0-or-later
// Picks one token from logits. The interface has only integers, because console code has no floats;
// inside it computes in floats.
//
// The order is llama.cpp's: logit bias, penalties, DRY, top-k, typical, top-p, min-p, XTC,
// temperature, draw. A request may order what stands between DRY and the draw. With mirostat it is:
// logit bias, penalties, DRY, temperature, mirostat. Ties
// go to the lowest id. Temperature 0 takes the highest logit after bias, penalties and DRY, and
// draws nothing. The same seed, logits and history give the same token on every machine. Used on
// the engine's thread.
#pragma once

#include <array>
#include <limits>

#include "ai/text/dry_breakers.h"

namespace ai {

class Candidates;  // ai/text/candidates.h

constexpr i32 kMilli = 1000;  // parameters are thousandths: 0.7 is 700

struct LogitBias {
  static constexpr i32 kNever = std::numeric_limits<i32>::min();  // the token is never picked
  TokenId token;
  i32 bias_milli;
};

// One of the steps whose order a request may choose.
enum class SamplerStep : u8 { kTopK, kTypical, kTopP, kMinP, kXtc, kTemperature };
constexpr u32 kSamplerSteps = 6;

// The steps that are made, in order. None is made twice.
struct SamplerOrder {
  bool chosen = false;  // if not, all of them in the usual order
  u8 count = 0;
  std::array<SamplerStep, kSamplerSteps> steps{};
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
  u32 penalty_last_n = 64;       // tokens of prompt and answer that penalties look at; 0 = none
  i32 dry_multiplier_milli = 0;  // 0 = off
  i32 dry_base_milli = 1750;
  u32 dry_allowed_length = 2;
  u32 dry_last_n = ~u32{0};       // tokens of prompt and answer that DRY looks at; 0 = none
  i32 xtc_probability_milli = 0;  // 0 = off
  i32 xtc_threshold_milli = 100;  // above 500 = off, because no two tokens can both have that much
  u32 mirostat = 0;               // 0 or 2
  i32 mirostat_tau_milli = 5000;
  i32 mirostat_eta_milli = 100;
  u64 seed = 0;
  SamplerOrder order = {};
};

// Returns kInvalidArgument, naming the parameter, if one is out of range.
Result<void> check_sampler_params(const SamplerParams& params);

// Returns kCorrupt if a logit is NaN or infinite. Called before anything masks tokens.
Result<void> check_finite(std::span<const float> logits);

// The generator xoshiro256** (Blackman and Vigna), seeded by splitmix64.
class Random {
 public:
  explicit Random(u64 seed);
  u64 next();
  double uniform();  // in [0, 1), with 53 random bits

 private:
  u64 state_[4];
};

// Scratch memory for one pick at a time. Made once when the model is loaded, and shared by every
// request.
class SamplerWorkspace {
 public:
  static Result<SamplerWorkspace> create(u32 vocabulary, u32 context);
  // The places across which DRY finds no repetition, for samplers without their own. By default
  // there are none.
  DryBreakers& dry_breakers() { return breakers_; }
  static u64 bytes(u32 vocabulary, u32 context);

 private:
  friend class Sampler;
  friend class LogProbabilities;
  friend std::span<const u64> highest(std::span<const float> logits, u32 count,
                                      SamplerWorkspace& workspace);
  Vector<u64> keys_;     // (vocabulary) candidates, each with logit and id packed into one number
  Vector<u64> scratch_;  // (vocabulary)
  Vector<u32> counts_;   // (vocabulary) all zero between two picks
  Vector<u32> repeats_;  // (context)
  DryBreakers breakers_;
};

struct TokenLogprob {
  TokenId id;
  i32 logprob_micro;  // natural logarithm in millionths
};

// The tokens that all filters left for a draw, best first, with their probabilities in billionths.
// One whose probability is rounded to nothing is left out.
struct Drawn {
  static constexpr u32 kMost = 20;
  u32 wanted = 0;  // set by the caller, at most kMost
  u32 count = 0;
  TokenLogprob best[kMost] = {};  // here the number is a probability
  i32 nano = 0;                   // of the token that was drawn
};

class Sampler {
 public:
  // `params` were checked by check_sampler_params(). Ids in `bias` must be below `vocabulary`.
  static Result<Sampler> create(const SamplerParams& params, std::span<const LogitBias> bias,
                                u32 vocabulary);
  // Takes the place of the workspace's.
  void set_dry_breakers(DryBreakers breakers) {
    breakers_ = std::move(breakers);
    own_breakers_ = true;
  }
  // Picks a token. Changes `logits`, in which minus infinity excludes a token. `history` is the
  // prompt and the answer so far. Returns kCorrupt for NaN and kNotFound if every token is
  // excluded. Allocates nothing. `drawn` may be null.
  Result<TokenId> pick(std::span<float> logits, std::span<const TokenId> history,
                       SamplerWorkspace& workspace, Drawn* drawn = nullptr);
  // The part of the sampler that pick() changes. A pick that does not count is made between two
  // calls of swap_state(): it draws the numbers that the next pick that counts will draw.
  struct State {
    Random random;
    float mirostat_mu;
  };
  State state() const { return {random_, mirostat_mu_}; }
  void swap_state(State& other) {
    std::swap(random_, other.random);
    std::swap(mirostat_mu_, other.mirostat_mu);
  }
  // Returns how far the number that the last pick drew was from the share of another token, as a
  // part of all shares. 1 if nothing was drawn, or if there was no other token.
  float room() const { return room_; }
  const SamplerParams& params() const { return params_; }
  std::span<const LogitBias> bias() const { return bias_.view(); }

 private:
  explicit Sampler(const SamplerParams& params);
  void penalize(std::span<float> logits, std::span<const TokenId> history,
                SamplerWorkspace& workspace) const;
  void dry(std::span<float> logits, std::span<const TokenId> history,
           SamplerWorkspace& workspace) const;
  void maybe_exclude_top(Candidates& c);
  TokenId draw_in_order(std::span<const float> logits, SamplerWorkspace& workspace, Drawn* drawn);
  TokenId draw_mirostat(std::span<float> logits, SamplerWorkspace& workspace, Drawn* drawn);

  SamplerParams params_;
  Vector<LogitBias> bias_;
  Random random_;
  float mirostat_mu_;
  DryBreakers breakers_;
  bool own_breakers_ = false;  // `breakers_` count, not the workspace's
  float room_ = 1;
};

// Returns the `count` highest logits, best first, as numbers that hold logit and id (CandidateKey
// in ai/text/candidates.h). Logits that are NaN or minus infinity are left out. The result is valid
// until the workspace is used again.
std::span<const u64> highest(std::span<const float> logits, u32 count, SamplerWorkspace& workspace);

// Log probabilities from the model's own logits, before bias, penalties and grammar.
class LogProbabilities {
 public:
  static Result<LogProbabilities> create(u32 vocabulary, u32 top_capacity);
  // Copies the logits, so that of() can be called after they were changed.
  void take(std::span<const float> logits, u32 top, SamplerWorkspace& workspace);
  i32 of_micro(TokenId id) const;
  std::span<const TokenLogprob> top() const { return top_.view(); }

 private:
  Vector<float> logits_;  // (vocabulary)
  Vector<TokenLogprob> top_;
  u32 top_capacity_ = 0;
  double log_sum_ = 0;  // logarithm of the sum of exp(logit)
};

// Returns log(sum(exp(logits))), summed in ascending order of ids.
double log_sum_exp(std::span<const float> logits);

}  // namespace ai
