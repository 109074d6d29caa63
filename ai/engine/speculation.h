// SPDX-License-Identifier: GPL-2.0-or-later
// Guesses the next tokens by looking up where the last ones stood earlier in the text (prompt
// lookup), and decides whether guessing pays, by lookup or with a draft model (draft_model.h). The
// model verifies all guesses in one step, so nothing in this file can change the text.
#pragma once

#include "ai/tokenizer/tokenizer.h"

namespace ai {

constexpr u32 kMaxDraft = 15;  // with the token itself 16 rows, one tile of the products
constexpr u32 kMostDrafts = kMaxDraft + 1;  // guesses of all requests together in one step

// Finds the longest ending of `tokens` (two to eight tokens) that occurs earlier, and copies the
// tokens that followed it there. Writes at most out.size() tokens and returns how many.
u32 find_draft(std::span<const TokenId> tokens, std::span<TokenId> out);

// The time of a step with n rows, learned from the steps themselves. All requests of an engine
// share it.
class StepCosts {
 public:
  void learn(u32 rows, u64 ns);
  // Returns the time of a step with `more` rows relative to one with `rows`, in 256ths. A size not
  // seen yet counts as the next smaller one, so a guess is tried before it is judged.
  u32 relative(u32 more, u32 rows) const;

  // Learns from a step that read `rows` rows of prompts and perhaps decoded for other requests too.
  void learn_reading(u32 rows, u64 ns);
  // Returns how many rows of a prompt make a step about `ns` longer; 0 = not known yet.
  u32 rows_within(u64 ns) const;
  // Returns the time of a step without a prompt; 0 = not known yet.
  u64 step_ns(u32 rows) const { return of(rows); }

 private:
  static constexpr u32 kMostRows = 64;
  u64 of(u32 rows) const;
  u64 ns_[kMostRows + 1] = {};  // moving average by rows; 0 = not seen
  u64 reading_ns_ = 0;          // time of one row of a prompt; moving average
  u32 reading_rows_ = 0;        // rows of the last step that counted; 0 = none yet
};

// Tracks how often the guesses of one request are right, and says how many to make.
class DraftPolicy {
 public:
  // Returns the number of guesses for a step that has `rows` rows without them. It is 0 while
  // guessing does not pay, except for a short probe at growing intervals.
  u32 wanted(const StepCosts& costs, u32 rows);
  void learn(u32 drafted, u32 accepted);
  // Records a token that was made without a guess.
  void idle() { since_probe_++; }
  // Records that guessing was found to pay.
  void pays() { probe_every_ = kProbeOften; }
  // Returns true if guessing did not pay for so long that it is time to try again.
  bool wants_probe() const { return since_probe_ >= probe_every_; }
  // Returns how many tokens a step is expected to give with so many guesses, in 256ths.
  u32 gives(u32 guesses) const;

  static constexpr u32 kProbe = 3;  // tokens guessed in a probe

 private:
  static constexpr u32 kAll = 1 << 16, kProbeOften = 16;
  u32 hit_rate_ = kAll / 4 * 3;  // of one guessed token, in shares of kAll; starts optimistic
  u32 weight_ = 4;               // of what is known against one observation; grows to 16
  u32 since_probe_ = 0;
  u32 probe_every_ = kProbeOften;  // tokens; doubles with each probe in vain
};

// A request that decodes, and what it may get from the draft model.
struct DraftCandidate {
  const DraftPolicy* policy;  // of the draft model's guesses
  u32 most;                   // guesses of the draft model that it has room for
  u32 looked_up;              // guesses that it has already, by lookup
  u32 gives;                  // tokens that the step is expected to give it with those, in 256ths
};

// The costs that decide about a step with a draft model.
struct DraftCosts {
  const StepCosts& model;  // that verifies
  const StepCosts& draft;
  u32 rows;  // of the step without guesses
};

// The first `requests` candidates get `guesses` each, or fewer where they have less room.
struct DraftChoice {
  u32 requests = 0, guesses = 0;
  // A further guess pays if the chance that it is right is at least this, in 256ths.
  u32 least_chance = 0;
};

// Chooses for how many of the candidates the draft model guesses, and how many tokens: what gives
// the most tokens a second, or nothing if that is hardly more than without. The draft model makes
// one step of its own per guess, for all requests together.
DraftChoice choose_drafts(std::span<const DraftCandidate> candidates, const DraftCosts& costs);

}  // namespace ai
