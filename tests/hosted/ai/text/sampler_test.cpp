// SPDX-License-Identifier: GPL-2.0-or-later
// The sampler against its second implementation (tests/oracles/sampler_reference.py) and its edges.
#include "ai/text/sampler.h"

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "ai/text/candidates.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"

namespace {

using ai::Sampler;
using ai::SamplerParams;
using ai::SamplerWorkspace;
using ai::TokenId;

constexpr u32 kVocabulary = 200;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

u64 mix(u64 z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// As the oracle's logits_of().
std::vector<float> logits_of(u64 number, u64 step) {
  std::vector<float> logits(kVocabulary);
  for (u32 i = 0; i < kVocabulary; i++) {
    double v = static_cast<double>(mix(number * 1000003 + step * 10007 + i) >> 40) / (1 << 24);
    logits[i] = static_cast<float>((v - 0.5) * 16) + (i < 10 ? 4.0f : 0.0f);
  }
  return logits;
}

std::vector<u64> numbers(std::string_view line) {
  std::vector<u64> values;
  for (const char* at = line.data(); at < line.data() + line.size();) {
    char* end = nullptr;
    u64 v =
        at[0] == '-' ? static_cast<u64>(std::strtoll(at, &end, 10)) : std::strtoull(at, &end, 10);
    if (end == at) {
      at++;
      continue;
    }
    values.push_back(v);
    at = end;
    if (*at == ' ') at++;
  }
  return values;
}

SamplerParams params_of(const std::vector<u64>& v) {
  auto i = [&](usize n) { return static_cast<i32>(v[n]); };
  auto u = [&](usize n) { return static_cast<u32>(v[n]); };
  SamplerParams p;
  p.temperature_milli = i(0), p.top_k = u(1), p.top_p_milli = i(2), p.min_p_milli = i(3);
  p.typical_milli = i(4), p.repeat_penalty_milli = i(5), p.presence_penalty_milli = i(6);
  p.frequency_penalty_milli = i(7), p.penalty_last_n = u(8), p.dry_multiplier_milli = i(9);
  p.dry_base_milli = i(10), p.dry_allowed_length = u(11), p.xtc_probability_milli = i(12);
  p.xtc_threshold_milli = i(13), p.mirostat = u(14), p.mirostat_tau_milli = i(15);
  p.mirostat_eta_milli = i(16), p.seed = v[17];
  return p;
}

// Picks once from `logits`; -1 for an error.
i64 pick(const SamplerParams& params, std::vector<float> logits, std::vector<TokenId> history = {},
         std::vector<ai::LogitBias> bias = {}) {
  u32 vocabulary = static_cast<u32>(logits.size());
  auto workspace = SamplerWorkspace::create(vocabulary, 100);
  auto sampler = Sampler::create(params, bias, vocabulary);
  if (!workspace.has_value() || !sampler.has_value()) return -2;
  auto token = sampler->pick(logits, history, *workspace);
  return token.has_value() ? static_cast<i64>(*token) : -1;
}

}  // namespace

TEST(sampler, every_filter_as_the_reference) {
  std::FILE* file = std::fopen("tests/goldens/sampler.txt", "r");
  REQUIRE(file != nullptr);
  auto workspace = SamplerWorkspace::create(kVocabulary, 64);
  REQUIRE(workspace.has_value());
  workspace->dry_breakers().add(6);
  std::vector<char> line(4096);
  u64 number = 0;
  while (std::fgets(line.data(), static_cast<int>(line.size()), file) != nullptr) {
    if (line[0] == '#') continue;
    std::vector<u64> v = numbers(line.data());
    REQUIRE(v.size() > 18);
    auto sampler = Sampler::create(params_of(v), {}, kVocabulary);
    REQUIRE(sampler.has_value());
    std::vector<TokenId> history = {3, 4, 5, 6, 9, 3, 4, 5, 7, 3, 4};
    for (usize step = 0; step < v.size() - 18; step++) {
      std::vector<float> logits = logits_of(number, step);
      auto token = sampler->pick(logits, history, *workspace);
      REQUIRE(token.has_value());
      if (*token != v[18 + step]) {
        char text[96];
        test.report(__FILE__, __LINE__,
                    base::format_into(text, "case {} step {}: got {}, wanted {}", number, step,
                                      *token, v[18 + step]));
        break;
      }
      history.push_back(*token);
    }
    number++;
  }
  std::fclose(file);
  EXPECT_EQ(number, 146u);
}

// ---- the order of the steps

namespace {

using Step = ai::SamplerStep;
constexpr Step kUsual[] = {Step::kTopK, Step::kTypical, Step::kTopP,
                           Step::kMinP, Step::kXtc,     Step::kTemperature};

ai::SamplerOrder order_of(std::span<const Step> steps) {
  ai::SamplerOrder order{.chosen = true};
  for (Step step : steps) order.steps[order.count++] = step;
  return order;
}

}  // namespace

TEST(sampler, the_usual_order_may_be_written_out) {
  for (u64 seed = 0; seed < 300; seed++) {
    SamplerParams p{.temperature_milli = 700 + static_cast<i32>(seed), .typical_milli = 900};
    p.xtc_probability_milli = 500;
    p.seed = seed;
    i64 usual = pick(p, logits_of(seed, 1));
    p.order = order_of(kUsual);
    EXPECT_EQ(pick(p, logits_of(seed, 1)), usual);
  }
}

// The first two of the logits 4, 2 and 0 have 0.98 together, the first one has 0.87, and at half
// the temperature 0.98 alone.
TEST(sampler, a_filter_sees_the_temperature_that_stands_before_it) {
  constexpr Step kFirst[] = {Step::kTemperature, Step::kTopP};
  constexpr Step kLast[] = {Step::kTopP, Step::kTemperature};
  u32 first = 0, last = 0, none = 0;
  for (u64 seed = 0; seed < 400; seed++) {
    SamplerParams p{.temperature_milli = 500, .top_k = 1, .top_p_milli = 900};
    p.seed = seed;
    p.order = order_of(kFirst);  // without top_k, which therefore does nothing
    first += pick(p, {4, 2, 0}) != 0;
    p.order = order_of(kLast);
    last += pick(p, {4, 2, 0}) != 0;
    p.order = order_of({});
    none += pick(p, {4, 2, 0}) != 0;
  }
  EXPECT_EQ(first, 0u);
  EXPECT(last > 0 && last < 40);
  EXPECT(none > 20 && none < 100);
}

TEST(sampler, tells_what_a_token_was_drawn_from) {
  auto workspace = SamplerWorkspace::create(kVocabulary, 100);
  REQUIRE(workspace.has_value());
  for (u64 seed = 0; seed < 50; seed++) {
    SamplerParams p{.temperature_milli = 800, .top_k = 8};
    p.mirostat = seed % 5 == 4 ? 2 : 0;
    p.seed = seed;
    auto sampler = Sampler::create(p, {}, kVocabulary);
    REQUIRE(sampler.has_value());
    std::vector<float> logits = logits_of(seed, 0);
    ai::Drawn drawn{.wanted = ai::Drawn::kMost};
    auto token = sampler->pick(logits, {}, *workspace, &drawn);
    REQUIRE(token.has_value());
    i64 sum = 0;
    i32 own = 0;
    for (u32 i = 0; i < drawn.count; i++) {
      sum += drawn.best[i].logprob_micro;
      if (drawn.best[i].id == *token) own = drawn.best[i].logprob_micro;
      EXPECT(i == 0 || drawn.best[i].logprob_micro <= drawn.best[i - 1].logprob_micro);
    }
    if (p.mirostat == 0) EXPECT(drawn.count <= 8 && sum > 999'999'900 && sum < 1'000'000'100);
    if (p.mirostat == 0) EXPECT_EQ(own, drawn.nano);
    EXPECT(drawn.count > 0 && drawn.nano > 0);
  }
  auto greedy = Sampler::create({}, {}, 3);
  auto three = SamplerWorkspace::create(3, 8);
  REQUIRE(greedy.has_value() && three.has_value());
  std::vector<float> logits = {1, 3, 2};
  ai::Drawn drawn{.wanted = 5};
  EXPECT_EQ(*greedy->pick(logits, {}, *three, &drawn), 1u);
  EXPECT_EQ(drawn.count, 1u);
  EXPECT_EQ(drawn.nano, 1'000'000'000);
}

TEST(sampler, greedy_takes_the_lowest_of_equals) {
  EXPECT_EQ(pick({}, {1, 3, 2, 3, 3}), 1);
  EXPECT_EQ(pick({}, {-0.0f, 0.0f}), 0);
  EXPECT_EQ(pick({}, {-5, -kInfinity, -4}), 2);
  EXPECT_EQ(pick({}, std::vector<float>(1, 7)), 0);
  std::vector<float> many(1000, -1);
  many[997] = many[31] = many[999] = 2;
  EXPECT_EQ(pick({}, many), 31);
}

TEST(sampler, a_draw_of_one_is_the_best_one) {
  SamplerParams p{.temperature_milli = 1000, .top_k = 1};
  for (u64 seed = 0; seed < 20; seed++) {
    p.seed = seed;
    EXPECT_EQ(pick(p, {1, 3, 2, 3, 3}), 1);
  }
  EXPECT_EQ(ai::CandidateKey::of(-0.0f, 3), ai::CandidateKey::of(0.0f, 3));
  EXPECT(ai::CandidateKey::of(1, 3) > ai::CandidateKey::of(1, 4));
  EXPECT(ai::CandidateKey::of(-1, 3) > ai::CandidateKey::of(-2, 2));
  EXPECT_EQ(ai::CandidateKey::id(ai::CandidateKey::of(-7.5f, 123)), 123u);
  EXPECT(ai::CandidateKey::logit(ai::CandidateKey::of(-7.5f, 123)) == -7.5f);
}

TEST(sampler, excluded_tokens_never_come) {
  for (u32 top_k : {0u, 3u})
    for (u32 mirostat : {0u, 2u})
      for (u64 seed = 0; seed < 50; seed++) {
        SamplerParams p{.temperature_milli = 100'000,
                        .top_k = top_k,
                        .top_p_milli = 1000,
                        .min_p_milli = 0,
                        .mirostat = mirostat,
                        .seed = seed};
        i64 token = pick(p, {-kInfinity, 1, -kInfinity, 1, 1, -kInfinity});
        EXPECT(token == 1 || token == 3 || token == 4);
      }
}

TEST(sampler, broken_logits_are_errors) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  for (i32 temperature : {0, 1000}) {
    SamplerParams p{.temperature_milli = temperature};
    EXPECT_EQ(pick(p, {1, nan, 2}), -1);
    EXPECT_EQ(pick(p, {1, kInfinity, 2}), -1);
    EXPECT_EQ(pick(p, {-kInfinity, -kInfinity}), -1);
    EXPECT_EQ(pick(p, {}), -1);
  }
  const float fine[] = {1, -2, 3e38f}, bad[] = {1, -kInfinity};
  EXPECT(ai::check_finite(fine).has_value());
  EXPECT(!ai::check_finite(bad).has_value());
  EXPECT(!ai::check_finite({&nan, 1}).has_value());
}

TEST(sampler, bias_moves_and_forbids) {
  EXPECT_EQ(pick({}, {1, 3, 2}, {}, {{2, 1500}}), 2);
  EXPECT_EQ(pick({}, {1, 3, 2}, {}, {{1, -100'000}, {2, -100'000}}), 0);
  EXPECT_EQ(pick({}, {1, 3, 2}, {}, {{3, 1}}), -2);
}

TEST(sampler, parameters_out_of_range_are_named) {
  struct {
    SamplerParams params;
    std::string_view word;
  } cases[] = {
      {{.temperature_milli = -1}, "temperature"},
      {{.top_p_milli = 1001}, "top_p"},
      {{.min_p_milli = -1}, "min_p"},
      {{.typical_milli = 1001}, "typical"},
      {{.repeat_penalty_milli = 0}, "repeat"},
      {{.presence_penalty_milli = 2'000'000}, "presence"},
      {{.dry_multiplier_milli = -1}, "dry"},
      {{.dry_base_milli = 999}, "dry_base"},
      {{.xtc_probability_milli = 1001}, "xtc"},
      {{.mirostat = 1}, "mirostat"},
      {{.mirostat_tau_milli = -1}, "mirostat_tau"},
      {{.xtc_threshold_milli = -1}, "xtc_threshold"},
  };
  for (const auto& c : cases) {
    auto r = ai::check_sampler_params(c.params);
    REQUIRE(!r.has_value());
    EXPECT(std::string_view(r.error().what).find(c.word) != std::string_view::npos);
  }
  EXPECT(ai::check_sampler_params({}).has_value());
}

TEST(sampler, dry_stays_finite_on_one_token_repeated) {
  std::vector<TokenId> history(5000, 1);
  SamplerParams p{.dry_multiplier_milli = 1000};
  EXPECT_EQ(pick(p, {1, 100, 2}, history), 2);
}

TEST(sampler, logits_that_a_low_temperature_drives_out_of_range) {
  for (u32 mirostat : {0u, 2u})
    for (float huge : {1e36f, -1e36f, 3.4e38f, -3.4e38f}) {
      SamplerParams p{.temperature_milli = 1, .mirostat = mirostat, .seed = 3};
      i32 token = pick(p, {huge, huge, -kInfinity});
      EXPECT(token == 0 || token == 1);
      EXPECT_EQ(pick(p, {huge, 0.0f}), huge > 0 ? 0 : 1);
    }
}

TEST(sampler, picking_allocates_nothing) {
  auto workspace = SamplerWorkspace::create(kVocabulary, 64);
  REQUIRE(workspace.has_value());
  auto logprobs = ai::LogProbabilities::create(kVocabulary, 20);
  REQUIRE(logprobs.has_value());
  std::vector<TokenId> history = {1, 2, 3, 1, 2};
  for (u32 mirostat : {0u, 2u}) {
    SamplerParams p{.temperature_milli = 900,
                    .top_k = 0,
                    .typical_milli = 900,
                    .repeat_penalty_milli = 1100,
                    .dry_multiplier_milli = 500,
                    .xtc_probability_milli = 500,
                    .mirostat = mirostat};
    auto sampler = Sampler::create(p, {}, kVocabulary);
    REQUIRE(sampler.has_value());
    std::vector<float> logits = logits_of(0, 0);
    u64 before = host::allocation_count();
    for (u32 step = 0; step < 50; step++) {
      logprobs->take(logits, 20, *workspace);
      EXPECT(sampler->pick(logits, history, *workspace).has_value());
    }
    EXPECT_EQ(host::allocation_count(), before);
  }
}

TEST(sampler, out_of_memory_leaks_nothing) {
  i64 before = host::live_allocations();
  const ai::LogitBias bias[] = {{1, 1}};
  for (u64 n = 1; n <= 8; n++) {
    host::fail_allocation(n);
    auto workspace = SamplerWorkspace::create(kVocabulary, 64);
    auto sampler = Sampler::create({}, bias, kVocabulary);
    auto logprobs = ai::LogProbabilities::create(kVocabulary, 20);
    host::fail_allocation(0);
    EXPECT(!workspace.has_value() || !sampler.has_value() || !logprobs.has_value());
  }
  EXPECT_EQ(host::live_allocations(), before);
}

TEST(sampler, log_probabilities_as_integers) {
  auto workspace = SamplerWorkspace::create(4, 8);
  auto logprobs = ai::LogProbabilities::create(4, 20);
  REQUIRE(workspace.has_value() && logprobs.has_value());
  const float logits[] = {0, 1, 1, -3000};
  logprobs->take(logits, 2, *workspace);
  // log(1 + 2e) = 1.861994804
  EXPECT_EQ(logprobs->of_micro(0), -1861995);
  EXPECT_EQ(logprobs->of_micro(1), -861995);
  EXPECT_EQ(logprobs->of_micro(3), -2147483647);
  REQUIRE(logprobs->top().size() == 2);
  EXPECT_EQ(logprobs->top()[0].id, 1u);
  EXPECT_EQ(logprobs->top()[1].id, 2u);
  logprobs->take(logits, 20, *workspace);
  EXPECT_EQ(logprobs->top().size(), 4u);
}
