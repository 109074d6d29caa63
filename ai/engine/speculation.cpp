// SPDX-License-Identifier: GPL-2.0-or-later
// Prompt lookup: finds guesses in the text itself, and computes whether guessing pays.
#include "ai/engine/speculation.h"

namespace ai {
namespace {

constexpr u32 kShortest = 2, kLongest = 8;  // fewest tokens that must agree, most that are compared
constexpr u32 kOne = 256;
constexpr u32 kProbe = 3;          // tokens guessed in a probe
constexpr u32 kProbeRarest = 512;  // most tokens between two probes
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

void StepCosts::learn(u32 rows, u64 ns) {
  if (rows == 0 || rows > kMostRows) return;
  u64& average = ns_[rows];
  average = average == 0 ? ns : average - average / 8 + ns / 8;
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

u32 DraftPolicy::wanted(const StepCosts& costs, u32 rows) {
  // With n guesses and hit rate h the step gives 1 + h + h^2 + … + h^n tokens here, and one to each
  // of the other requests.
  u32 best = 0, best_gain = kLeastGain;
  u64 here = kOne, power = kOne;
  for (u32 n = 1; n <= kMaxDraft; n++) {
    power = power * hit_rate_ / kOne;
    here += power;
    u64 all = (here + u64{rows - 1} * kOne) / rows;
    u32 gain = static_cast<u32>(all * kOne / costs.relative(rows + n, rows));
    if (gain > best_gain) {
      best_gain = gain;
      best = n;
    }
  }
  if (best == 0 && since_probe_ >= probe_every_) return kProbe;
  return best;
}

void DraftPolicy::learn(u32 drafted, u32 accepted) {
  if (drafted == 0) return;
  // Each compared token is one observation: the accepted ones, and the first that was not.
  u32 compared = std::min(drafted, accepted + 1);
  for (u32 i = 0; i < compared; i++) hit_rate_ = (hit_rate_ * 15 + (i < accepted ? kOne : 0)) / 16;
  if (since_probe_ >= probe_every_)
    probe_every_ = accepted > 0 ? 16 : std::min(probe_every_ * 2, kProbeRarest);
  since_probe_ = 0;
}

}  // namespace ai
