// SPDX-License-Identifier: GPL-2.0-or-later
// Prompt lookup: finds guesses in the text itself. Computes whether guessing pays, by lookup or
// with a draft model.
#include "ai/engine/speculation.h"

namespace ai {
namespace {

constexpr u32 kShortest = 2, kLongest = 8;  // fewest tokens that must agree, most that are compared
constexpr u32 kOne = 256;
constexpr u32 kProbeRarest = 512;  // most tokens between two probes
constexpr u32 kMostWeight = 16;
// in 256ths: a guess must make the step 9 % better, or it is not made
constexpr u32 kLeastGain = 280;

}  // namespace

u32 find_draft(std::span<const TokenId> tokens, std::span<TokenId> out) {
  usize count = tokens.size(), best = 0, best_length = 0;
  for (usize end = count - 1; count > 1 && end > 0 && best_length < kLongest; end--) {
    if (tokens[end - 1] != tokens[count - 1]) continue;
    usize length = 1, most = std::min<usize>(end, kLongest);
    while (length < most && tokens[end - 1 - length] == tokens[count - 1 - length]) length++;
    if (length <= best_length) continue;
    best_length = length;
    best = end;
  }
  if (best_length < kShortest) return 0;
  // A draft that reaches the end of the text continues with its own tokens: a text that repeats
  // goes on repeating.
  u32 drafted = 0;
  for (; drafted < out.size(); drafted++)
    out[drafted] = best + drafted < count ? tokens[best + drafted] : out[best + drafted - count];
  return drafted;
}

// Whatever disturbs a step makes it longer, so a shorter time counts more than a longer one.
void StepCosts::learn(u32 rows, u64 ns) {
  if (rows == 0 || rows > kMostRows) return;
  u64& average = ns_[rows];
  u64 share = ns < average ? 2 : 8;
  average = average == 0 ? ns : average - average / share + ns / share;
}

// Returns the time of a step with `rows` rows. More rows never take less time, so a size that only
// saw lucky steps counts as the next smaller one.
u64 StepCosts::of(u32 rows) const {
  u64 most = 0;
  for (u32 n = 1; n <= std::min(rows, kMostRows); n++) most = std::max(most, ns_[n]);
  return most;
}

u32 StepCosts::relative(u32 more, u32 rows) const {
  u64 base = of(rows);
  return base == 0 ? kOne : static_cast<u32>(of(more) * kOne / base);
}

// The weights are read once per step, so the time of a step without a prompt is paid anyway and
// only the rest belongs to the prompt's rows. A measurement of a few rows is noisy: it counts only
// until there is a better one.
void StepCosts::learn_reading(u32 rows, u64 ns) {
  constexpr u32 kMeaning = 16;
  if (rows == 0 || (rows < kMeaning && reading_rows_ != 0)) return;
  u64 base = of(1);
  u64 row = std::max<u64>((ns > base ? ns - base : 0) / rows, 1);
  bool first = reading_rows_ < kMeaning;
  reading_ns_ = first ? row : reading_ns_ - reading_ns_ / 4 + row / 4;
  reading_rows_ = rows;
}

u32 StepCosts::rows_within(u64 ns) const {
  return reading_ns_ == 0 ? 0 : static_cast<u32>(std::min<u64>(ns / reading_ns_, 1 << 20));
}

// With n guesses and hit rate h a step gives 1 + h + h^2 + … + h^n tokens.
u32 DraftPolicy::gives(u32 guesses) const {
  u64 sum = kAll, power = kAll;
  for (u32 n = 0; n < guesses; n++) sum += power = power * hit_rate_ / kAll;
  return static_cast<u32>(sum * kOne / kAll);
}

u32 DraftPolicy::wanted(const StepCosts& costs, u32 rows) {
  // Each of the other requests gets one token.
  u32 best = 0, best_gain = kLeastGain;
  for (u32 n = 1; n <= kMaxDraft; n++) {
    u64 all = (gives(n) + u64{rows - 1} * kOne) / rows;
    u32 gain = static_cast<u32>(all * kOne / costs.relative(rows + n, rows));
    if (gain > best_gain) {
      best_gain = gain;
      best = n;
    }
  }
  if (best > 0) pays();
  return best == 0 && wants_probe() ? kProbe : best;
}

void DraftPolicy::learn(u32 drafted, u32 accepted) {
  if (drafted == 0) return;
  // Each compared token is one observation: the accepted ones, and the first that was not.
  u32 compared = std::min(drafted, accepted + 1);
  for (u32 i = 0; i < compared; i++) {
    hit_rate_ = (hit_rate_ * (weight_ - 1) + (i < accepted ? kAll : 0)) / weight_;
    weight_ = std::min(weight_ + 1, kMostWeight);
  }
  if (wants_probe()) probe_every_ = std::min(probe_every_ * 2, kProbeRarest);
  since_probe_ = 0;
}

DraftChoice choose_drafts(std::span<const DraftCandidate> candidates, const DraftCosts& costs) {
  u32 plain_gives = 0, looked_up = 0;
  for (const DraftCandidate& c : candidates) plain_gives += c.gives, looked_up += c.looked_up;
  u64 plain_ns = costs.model.step_ns(costs.rows + looked_up);
  if (plain_ns == 0) return {};  // a step without the draft model must be known to compare with
  auto rate = [](u32 gives, u64 ns) { return (u64{gives} << 30) / ns; };
  u64 best_rate = rate(plain_gives, plain_ns) * kLeastGain / kOne;
  DraftChoice best;
  for (u32 requests = 1; requests <= candidates.size(); requests++) {
    if (candidates[requests - 1].most == 0) continue;
    for (u32 guesses = 1; guesses * requests <= kMostDrafts && guesses <= kMaxDraft; guesses++) {
      u32 gives = plain_gives, rows = costs.rows + looked_up;
      for (const DraftCandidate& c : candidates.first(requests)) {
        u32 own = std::min(guesses, c.most);
        if (own == 0) continue;
        gives = gives - c.gives + c.policy->gives(own);
        rows = rows - c.looked_up + own;
      }
      if (rows > costs.rows + kMostDrafts) break;
      // A step with fewer rows than any that was seen counts as the one without the draft model.
      u64 verify_ns = costs.model.step_ns(rows), guess_ns = costs.draft.step_ns(requests);
      u64 ns = (verify_ns == 0 ? plain_ns : verify_ns) + guesses * guess_ns;
      if (rate(gives, ns) <= best_rate) continue;
      best_rate = rate(gives, ns);
      // The time that a guess takes in both models would else give so many tokens.
      u64 each_ns = (ns - std::min(ns, plain_ns)) / (u64{guesses} * requests);
      best = {requests, guesses, static_cast<u32>(gives * each_ns / ns)};
    }
  }
  return best;
}

}  // namespace ai
