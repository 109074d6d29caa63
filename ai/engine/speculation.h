// SPDX-License-Identifier: GPL-2.0-or-later
// Guesses of the next tokens by looking up where the last ones stood before (prompt lookup), and
// the decision whether guessing pays. Guesses are verified by the model in one step: whatever this
// file says, the text stays the same.
#pragma once

#include "ai/tokenizer/tokenizer.h"

namespace ai {

constexpr u32 kMaxDraft = 15;  // with the token itself 16 rows, one tile of the products

// The tokens that followed the last earlier occurrence of the longest ending of `tokens` (at least
// two, at most eight tokens long). Writes at most out.size() tokens and returns how many.
u32 find_draft(std::span<const TokenId> tokens, std::span<TokenId> out);

// What a step of n rows takes, learned while running; shared by all requests of an engine.
class StepCosts {
 public:
  void learn(u32 rows, u64 ns);
  // Of `more` rows against `rows`, in 256ths. Sizes never seen count as what the next smaller one
  // took, so a guess is tried before it is judged.
  u32 relative(u32 more, u32 rows) const;

  // A step that read `rows` rows of prompts (and perhaps gave a token to others).
  void learn_reading(u32 rows, u64 ns);
  // Rows of a prompt that make a step about `ns` longer; 0 = not known yet.
  u32 rows_within(u64 ns) const;
  // What a step without a prompt takes; 0 = not known yet.
  u64 step_ns(u32 rows) const { return of(rows); }

 private:
  static constexpr u32 kMostRows = 64;
  u64 of(u32 rows) const;
  u64 ns_[kMostRows + 1] = {};  // moving average by rows; 0 = not seen
  u64 reading_ns_ = 0;          // of a row of a prompt; moving average
  u32 reading_rows_ = 0;        // of the last step that counted; 0 = not seen
};

// How often the guesses of one request were right, and how many are worth making.
class DraftPolicy {
 public:
  // For a step of `rows` rows without guesses. 0 while guessing does not pay; now and again a
  // short probe, ever more rarely.
  u32 wanted(const StepCosts& costs, u32 rows);
  void learn(u32 drafted, u32 accepted);
  // A token passed without a guess.
  void idle() { since_probe_++; }

 private:
  u32 hit_rate_ = 192;  // of one guessed token, in 256ths; begins hopeful
  u32 since_probe_ = 0;
  u32 probe_every_ = 16;  // tokens; doubles with each failed probe
};

}  // namespace ai
