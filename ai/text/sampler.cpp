// SPDX-License-Identifier: GPL-2.0-or-later
// Picks one token from logits with the chain of filters that sampler.h describes.
#include "ai/text/sampler.h"

#include <limits>

#include "ai/math/exp.h"
#include "ai/math/four.h"
#include "ai/math/real.h"
#include "ai/text/candidates.h"

namespace ai {
namespace {

constexpr u32 kLanes = 16;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

float milli(i32 value) {
  return static_cast<float>(value) / static_cast<float>(kMilli);
}

float log_of(double value) {
  return static_cast<float>(real::log(value));
}

// The result of one pass over all logits: the highest one, and whether one is NaN or plus infinity,
// which no mask can have made. It works on four vectors at once, because each operation waits for
// its predecessor.
struct Overview {
  float highest;
  bool broken;
};

Overview overview(std::span<const float> values) {
  constexpr u32 kVectors = kLanes / 4;
  const float lowest = kMinusInfinity, most = std::numeric_limits<float>::max();
  FourFloats best[kVectors];
  FourWords sound[kVectors];
  for (u32 v = 0; v < kVectors; v++) {
    best[v] = FourFloats{} + lowest;
    sound[v] = ~FourWords{};
  }
  usize i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (u32 v = 0; v < kVectors; v++) {
      FourFloats four = four_at(values.data() + i + 4 * v);
      best[v] = four > best[v] ? four : best[v];
      sound[v] &= std::bit_cast<FourWords>(four <= most);
    }
  }
  Overview all{lowest, false};
  for (u32 lane = 0; lane < kLanes; lane++) {
    all.highest = std::max(all.highest, best[lane / 4][lane % 4]);
    all.broken = all.broken || sound[lane / 4][lane % 4] == 0;
  }
  for (; i < values.size(); i++) {
    all.highest = std::max(all.highest, values[i]);
    all.broken = all.broken || !(values[i] <= most);
  }
  return all;
}

// Returns true if one of kLanes logits is above `threshold`.
bool any_above(const float* logits, float threshold) {
  FourWords above{};
  for (u32 v = 0; v < kLanes / 4; v++)
    above |= std::bit_cast<FourWords>(four_at(logits + 4 * v) > threshold);
  return (above[0] | above[1] | above[2] | above[3]) != 0;
}

// Writes the k best of `logits` to `keys`, unsorted. It skips whole blocks below the k-th best so
// far, and cuts the buffer of 2k back to k whenever it is full.
std::span<u64> best_keys(std::span<const float> logits, u32 k, std::span<u64> keys) {
  usize room = std::min<usize>(usize{k} * 2, keys.size()), count = 0;
  float threshold = kMinusInfinity;
  for (u32 id = 0; id < logits.size(); id++) {
    while (id % kLanes == 0 && id + kLanes <= logits.size() && !any_above(&logits[id], threshold))
      id += kLanes;
    // A later id never wins against an equal logit, and -inf never passes.
    if (id == logits.size() || !(logits[id] > threshold)) continue;
    keys[count++] = CandidateKey::of(logits[id], id);
    if (count < room || count <= k) continue;
    std::nth_element(keys.begin(), keys.begin() + (k - 1), keys.begin() + count,
                     std::greater<u64>());
    threshold = CandidateKey::logit(keys[k - 1]);
    count = k;
  }
  if (count > k) {
    std::nth_element(keys.begin(), keys.begin() + (k - 1), keys.begin() + count,
                     std::greater<u64>());
    count = k;
  }
  return keys.first(count);
}

std::span<u64> all_keys(std::span<const float> logits, float at_least, std::span<u64> keys) {
  usize count = 0;
  for (u32 id = 0; id < logits.size(); id++)
    if (logits[id] != kMinusInfinity && logits[id] >= at_least)
      keys[count++] = CandidateKey::of(logits[id], id);
  return keys.first(count);
}

// Returns the weight of rank i relative to the best one, at temperature 1.
double weight(Candidates& c, usize rank, float best) {
  return static_cast<double>(exp(c.logit(rank) - best));
}

double weight_of_all(Candidates& c, float best) {
  double sum = 0;
  for (usize i = 0; i < c.size(); i++) sum += weight(c, i, best);
  return sum;
}

// Keeps the tokens whose surprise is nearest to the expected surprise, up to `p` of the probability
// (Meister et al., "Locally typical sampling"). A tie goes to the better rank.
void keep_typical(Candidates& c, float p, std::span<u64> scratch) {
  c.sort_all();
  float best = c.logit(0);
  double sum = weight_of_all(c, best), mean = 0;
  for (usize i = 0; i < c.size(); i++) mean += weight(c, i, best) * (c.logit(i) - best);
  mean /= sum;  // the expected log weight; it differs from the surprise by a constant that cancels
  for (usize i = 0; i < c.size(); i++) {
    double shift = (c.logit(i) - best) - mean;
    float distance = static_cast<float>(shift < 0 ? -shift : shift);
    scratch[i] = u64{std::bit_cast<u32>(distance)} << 32 | i;
  }
  std::sort(scratch.begin(), scratch.begin() + c.size());
  usize kept = 0;
  double reached = 0;
  while (kept < c.size() && reached <= p * sum)
    reached += weight(c, static_cast<u32>(scratch[kept++]), best);
  for (usize i = 0; i < kept; i++) scratch[i] = static_cast<u32>(scratch[i]);
  std::sort(scratch.begin(), scratch.begin() + kept);
  // the ranks ascend, so this works in place
  for (usize i = 0; i < kept; i++) c.unsorted()[i] = c.at(scratch[i]);
  c.keep_first(kept);
}

// Keeps the shortest run of best tokens that has at least `p` of `sum`.
void keep_top_p(Candidates& c, float p, float best, double sum) {
  double reached = 0;
  for (usize i = 0; i < c.size(); i++) {
    reached += weight(c, i, best);
    if (reached < p * sum) continue;
    c.keep_first(i + 1);
    return;
  }
}

void keep_min_p(Candidates& c, float least_logit) {
  usize kept = 1;
  while (kept < c.size() && c.logit(kept) >= least_logit) kept++;
  c.keep_first(kept);
}

// XTC, "exclude top choices": of the tokens that each have at least `threshold`, only the last one
// stays.
void exclude_top(Candidates& c, float threshold) {
  float best = c.logit(0);
  double sum = weight_of_all(c, best);
  usize above = 0;
  while (above < c.size() && weight(c, above, best) >= threshold * sum) above++;
  if (above > 1) c.drop_first(above - 1);
}

// Multiplies all logits. Equal ones stay equal and none overtakes another, so the candidates stay
// as far sorted as they are. A low temperature can scale logits beyond all floats, so they are
// limited to the largest one.
void scale(Candidates& c, float factor) {
  constexpr float kMost = std::numeric_limits<float>::max();
  for (u64& key : c.unsorted())
    key = CandidateKey::of(std::clamp(CandidateKey::logit(key) * factor, -kMost, kMost),
                           CandidateKey::id(key));
}

// In billionths, rounded: halves are counted first.
i32 to_nano(double share) {
  return (static_cast<i32>(share * 2e9) + 1) / 2;
}

// Draws a token by its share. `room` becomes how far the number was from another token's share.
// `drawn` may be null.
TokenId draw(Candidates& c, float inverse_temperature, Random& random, float& room, Drawn* drawn) {
  float best = c.logit(0);
  auto scaled = [&](usize i) {
    return static_cast<double>(exp((c.logit(i) - best) * inverse_temperature));
  };
  double sum = 0;
  for (usize i = 0; i < c.size(); i++) sum += scaled(i);
  double target = random.uniform() * sum, reached = 0;
  usize rank = 0;
  for (; rank + 1 < c.size(); rank++) {
    double next = reached + scaled(rank);
    if (target < next) break;
    reached = next;
  }
  double below = rank == 0 ? sum : target - reached;
  double above = rank + 1 == c.size() ? sum : reached + scaled(rank) - target;
  room = static_cast<float>(std::min(below, above) / sum);
  if (drawn == nullptr) return c.id(rank);
  drawn->nano = to_nano(scaled(rank) / sum);
  drawn->count = 0;
  for (u32 i = 0; i < std::min<usize>(drawn->wanted, c.size()); i++)
    if (i32 nano = to_nano(scaled(i) / sum); nano > 0)
      drawn->best[drawn->count++] = {c.id(i), nano};
  return c.id(rank);
}

// Greedy: there was nothing else to draw.
TokenId only(TokenId id, Drawn* drawn) {
  if (drawn == nullptr) return id;
  drawn->nano = to_nano(1);
  drawn->count = std::min(drawn->wanted, 1u);
  drawn->best[0] = {id, drawn->nano};
  return id;
}

struct Range {
  i64 value, least, most;
  const char* what;
};

}  // namespace

Result<void> check_sampler_params(const SamplerParams& p) {
  constexpr i64 kMany = 1'000'000;  // 1000, in thousandths
  const Range ranges[] = {
      {p.temperature_milli, 0, kMany, "temperature must be 0 to 1000"},
      {p.top_p_milli, 0, kMilli, "top_p must be 0 to 1"},
      {p.min_p_milli, 0, kMilli, "min_p must be 0 to 1"},
      {p.typical_milli, 0, kMilli, "typical_p must be 0 to 1"},
      {p.repeat_penalty_milli, 1, kMany, "repeat_penalty must be above 0 and at most 1000"},
      {p.presence_penalty_milli, -kMany, kMany, "presence_penalty must be -1000 to 1000"},
      {p.frequency_penalty_milli, -kMany, kMany, "frequency_penalty must be -1000 to 1000"},
      {p.dry_multiplier_milli, 0, kMany, "dry_multiplier must be 0 to 1000"},
      {p.dry_base_milli, kMilli, kMany, "dry_base must be 1 to 1000"},
      {p.xtc_probability_milli, 0, kMilli, "xtc_probability must be 0 to 1"},
      {p.xtc_threshold_milli, 0, kMilli, "xtc_threshold must be 0 to 1"},
      {p.mirostat_tau_milli, 0, kMany, "mirostat_tau must be 0 to 1000"},
      {p.mirostat_eta_milli, 0, kMany, "mirostat_eta must be 0 to 1000"},
  };
  for (const Range& r : ranges)
    if (r.value < r.least || r.value > r.most) return fail(Errc::kInvalidArgument, r.what);
  if (p.mirostat != 0 && p.mirostat != 2)
    return fail(Errc::kInvalidArgument, "mirostat must be 0 or 2");
  return {};
}

Result<void> check_finite(std::span<const float> logits) {
  u32 broken = 0;
  for (float v : logits) broken |= (std::bit_cast<u32>(v) & 0x7f800000) == 0x7f800000 ? 1u : 0u;
  if (broken != 0) return fail(Errc::kCorrupt, "the model gave a logit that is not finite");
  return {};
}

Random::Random(u64 seed) {
  for (u64& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    u64 z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    word = z ^ (z >> 31);
  }
}

u64 Random::next() {
  u64 result = std::rotl(state_[1] * 5, 7) * 9;
  u64 t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double Random::uniform() {
  return static_cast<double>(next() >> 11) * 0x1p-53;
}

u64 SamplerWorkspace::bytes(u32 vocabulary, u32 context) {
  return u64{vocabulary} * (8 + 8 + 4) + u64{context} * 4 + DryBreakers::bytes(vocabulary);
}

Result<SamplerWorkspace> SamplerWorkspace::create(u32 vocabulary, u32 context) {
  SamplerWorkspace w;
  TRY(w.keys_.resize(vocabulary));
  TRY(w.scratch_.resize(vocabulary));
  TRY(w.counts_.resize(vocabulary));
  TRY(w.repeats_.resize(context));
  w.breakers_ = TRY(DryBreakers::create(vocabulary));
  return w;
}

std::span<const u64> highest(std::span<const float> logits, u32 count,
                             SamplerWorkspace& workspace) {
  std::span<u64> keys = best_keys(logits, count, workspace.keys_.view());
  std::sort(keys.begin(), keys.end(), std::greater<u64>());
  return keys;
}

Sampler::Sampler(const SamplerParams& params)
    : params_(params), random_(params.seed), mirostat_mu_(2 * milli(params.mirostat_tau_milli)) {}

Result<Sampler> Sampler::create(const SamplerParams& params, std::span<const LogitBias> bias,
                                u32 vocabulary) {
  TRY(check_sampler_params(params));
  for (const LogitBias& b : bias)
    if (b.token >= vocabulary)
      return fail(Errc::kInvalidArgument, "logit_bias names a token beyond the vocabulary");
  Sampler sampler(params);
  TRY(sampler.bias_.append(bias));
  return sampler;
}

Result<TokenId> Sampler::pick(std::span<float> logits, std::span<const TokenId> history,
                              SamplerWorkspace& workspace, Drawn* drawn) {
  ASSERT(logits.size() == workspace.keys_.size());
  for (const LogitBias& b : bias_)
    logits[b.token] += b.bias_milli == LogitBias::kNever ? kMinusInfinity : milli(b.bias_milli);
  penalize(logits, history, workspace);
  if (params_.dry_multiplier_milli > 0) dry(logits, history, workspace);
  auto [best, broken] = overview(logits);
  if (broken) return fail(Errc::kCorrupt, "a logit is not finite");
  if (best == kMinusInfinity) return fail(Errc::kNotFound, "every token is excluded");
  if (params_.temperature_milli == 0)
    return only(
        static_cast<TokenId>(std::find(logits.begin(), logits.end(), best) - logits.begin()),
        drawn);
  if (params_.mirostat != 0) return draw_mirostat(logits, workspace, drawn);
  if (params_.order.chosen) return draw_in_order(logits, workspace, drawn);

  bool all = params_.top_k == 0 || params_.top_k >= logits.size();
  bool typical = params_.typical_milli < kMilli;
  float least =
      params_.min_p_milli == 0 ? kMinusInfinity : best + log_of(milli(params_.min_p_milli));
  Candidates c(all ? all_keys(logits, typical ? kMinusInfinity : least, workspace.keys_.view())
                   : best_keys(logits, params_.top_k, workspace.keys_.view()));
  if (typical) keep_typical(c, milli(params_.typical_milli), workspace.scratch_.view());
  if (params_.top_p_milli < kMilli) {
    // Tokens that min-p will remove still count in the denominator of top-p. They are summed by id
    // if no filter came before, otherwise by rank.
    double sum = 0;
    if (all && !typical)
      for (float v : logits) sum += static_cast<double>(exp(v - best));
    else
      sum = weight_of_all(c, best);
    keep_top_p(c, milli(params_.top_p_milli), best, sum);
  }
  if (params_.min_p_milli > 0) keep_min_p(c, c.logit(0) + log_of(milli(params_.min_p_milli)));
  maybe_exclude_top(c);
  return draw(c, 1.0f / milli(params_.temperature_milli), random_, room_, drawn);
}

// Does the same with every token as a candidate at first, and step by step: with the temperature
// before a filter, the filter sees what the temperature has made of the logits.
TokenId Sampler::draw_in_order(std::span<const float> logits, SamplerWorkspace& workspace,
                               Drawn* drawn) {
  Candidates c(all_keys(logits, kMinusInfinity, workspace.keys_.view()));
  for (SamplerStep step : std::span(params_.order.steps).first(params_.order.count)) {
    switch (step) {
      case SamplerStep::kTopK:
        if (params_.top_k > 0) c.keep_first(params_.top_k);
        break;
      case SamplerStep::kTypical:
        if (params_.typical_milli < kMilli)
          keep_typical(c, milli(params_.typical_milli), workspace.scratch_.view());
        break;
      case SamplerStep::kTopP:
        if (params_.top_p_milli < kMilli)
          keep_top_p(c, milli(params_.top_p_milli), c.logit(0), weight_of_all(c, c.logit(0)));
        break;
      case SamplerStep::kMinP:
        if (params_.min_p_milli > 0) keep_min_p(c, c.logit(0) + log_of(milli(params_.min_p_milli)));
        break;
      case SamplerStep::kXtc:
        maybe_exclude_top(c);
        break;
      case SamplerStep::kTemperature:
        scale(c, 1.0f / milli(params_.temperature_milli));
        break;
    }
  }
  return draw(c, 1.0f, random_, room_, drawn);
}

void Sampler::maybe_exclude_top(Candidates& c) {
  bool on = params_.xtc_probability_milli > 0 && params_.xtc_threshold_milli <= kMilli / 2;
  if (on && random_.uniform() < static_cast<double>(milli(params_.xtc_probability_milli)))
    exclude_top(c, milli(params_.xtc_threshold_milli));
}

void Sampler::penalize(std::span<float> logits, std::span<const TokenId> history,
                       SamplerWorkspace& workspace) const {
  bool off = params_.repeat_penalty_milli == kMilli && params_.presence_penalty_milli == 0 &&
             params_.frequency_penalty_milli == 0;
  if (off || params_.penalty_last_n == 0) return;
  float repeat = milli(params_.repeat_penalty_milli);
  float presence = milli(params_.presence_penalty_milli);
  float frequency = milli(params_.frequency_penalty_milli);
  auto recent = history.last(std::min<usize>(history.size(), params_.penalty_last_n));
  for (TokenId id : recent) workspace.counts_[id]++;
  for (TokenId id : recent) {
    u32 count = std::exchange(workspace.counts_[id], 0);
    if (count == 0) continue;  // a further occurrence of a token that was handled already
    float& logit = logits[id];
    logit = logit <= 0 ? logit * repeat : logit / repeat;
    logit -= static_cast<float>(count) * frequency + presence;
  }
}

// DRY, "don't repeat yourself": lowers the logit of a token that would continue a run which has
// occurred before, by multiplier * base ^ (run - allowed). repeats[k] is the length of the longest
// common ending of the history and the history without its last k tokens (the Z function of the
// reversed history).
void Sampler::dry(std::span<float> logits, std::span<const TokenId> history,
                  SamplerWorkspace& workspace) const {
  usize most = std::min<usize>(workspace.repeats_.size(), params_.dry_last_n);
  auto recent = history.last(std::min(history.size(), most));
  u32 count = static_cast<u32>(recent.size());
  auto back = [&](u32 distance) { return recent[count - 1 - distance]; };
  u32 limit = (own_breakers_ ? breakers_ : workspace.breakers_).run_of(recent);
  if (limit < params_.dry_allowed_length || count < 2) return;

  Vector<u32>& z = workspace.repeats_;
  for (u32 k = 1, left = 0, right = 0; k < count; k++) {
    u32 n = k < right ? std::min(right - k, z[k - left]) : 0;
    while (k + n < count && back(n) == back(k + n)) n++;
    z[k] = n;
    if (k + n > right) {
      left = k;
      right = k + n;
    }
  }
  // back(k - 1) is the token that followed an earlier occurrence that ended k tokens ago.
  for (u32 k = 1; k < count; k++)
    workspace.counts_[back(k - 1)] =
        std::max(workspace.counts_[back(k - 1)], std::min(z[k], limit));
  for (u32 k = 1; k < count; k++) {
    u32 run = std::exchange(workspace.counts_[back(k - 1)], 0);
    if (run < params_.dry_allowed_length || run == 0) continue;
    constexpr float kMost = 1e30f;  // finite, and larger than every logit
    float penalty = milli(params_.dry_multiplier_milli), base = milli(params_.dry_base_milli);
    for (u32 i = params_.dry_allowed_length; i < run && base > 1 && penalty < kMost; i++)
      penalty *= base;
    logits[back(k - 1)] -= std::min(penalty, kMost);
  }
}

// Mirostat 2.0 (Basu et al.): only tokens whose surprise is at most mu may be drawn, and mu follows
// the surprise of what was drawn. Surprise is measured in bits.
TokenId Sampler::draw_mirostat(std::span<float> logits, SamplerWorkspace& workspace, Drawn* drawn) {
  constexpr float kLn2 = 0.693147180559945f;
  float inverse = 1.0f / milli(params_.temperature_milli);
  // A low temperature can scale logits beyond all floats, so they are limited to the largest one.
  constexpr float kMost = std::numeric_limits<float>::max();
  for (float& v : logits)
    if (v != kMinusInfinity) v = std::clamp(v * inverse, -kMost, kMost);
  Candidates c(all_keys(logits, kMinusInfinity, workspace.keys_.view()));
  float best = c.logit(0);
  double sum = 0;
  for (float v : logits) sum += static_cast<double>(exp(v - best));
  float log_sum = log_of(sum);
  auto surprise = [&](usize rank, float log_total) {
    return (log_total - (c.logit(rank) - best)) / kLn2;
  };
  usize kept = 1;
  while (kept < c.size() && surprise(kept, log_sum) <= mirostat_mu_) kept++;
  c.keep_first(kept);
  TokenId token = draw(c, 1.0f, random_, room_, drawn);
  usize rank = 0;
  while (c.id(rank) != token) rank++;
  float log_kept = log_of(weight_of_all(c, best));
  mirostat_mu_ -= milli(params_.mirostat_eta_milli) *
                  (surprise(rank, log_kept) - milli(params_.mirostat_tau_milli));
  return token;
}

}  // namespace ai
