// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's main promise: a request gets the same bytes whatever else is going on. Tokens, text
// and hashes of the logits are compared between all ways to serve the same requests.
#include <cstring>
#include <random>

#include "kernel/base/test.h"
#include "tests/hosted/fake_model.h"

namespace {

using ai::TokenId;

struct Asked {
  std::vector<TokenId> prompt;
  ai::SamplerParams sampling;
  u32 max_tokens = 40;
  u32 submit_at = 0;  // step
};

// Different lengths, samplers and beginnings; some begin alike.
std::vector<Asked> requests(u32 count) {
  std::vector<Asked> all;
  std::mt19937 random(5);
  for (u32 i = 0; i < count; i++) {
    Asked a;
    u32 shared = i % 3 == 0 ? 0 : 13;
    for (u32 n = 0; n < shared; n++) a.prompt.push_back(7 + n % 11);
    for (u32 n = 1 + random() % (i % 4 == 0 ? 60 : 9); n > 0; n--)
      a.prompt.push_back(2 + random() % 60);
    a.sampling.temperature_milli = i % 2 == 0 ? 0 : 700;
    a.sampling.repeat_penalty_milli = i % 5 == 0 ? 1100 : 1000;
    a.sampling.dry_multiplier_milli = i % 7 == 0 ? 800 : 0;
    a.sampling.mirostat = i % 6 == 3 ? 2 : 0;
    a.sampling.seed = 100 + i;
    a.max_tokens = 5 + i * 9 % 50;
    a.submit_at = i * 3 % 17;
    all.push_back(a);
  }
  return all;
}

ai::Request request_of(const Asked& a) {
  return {
      .prompt = a.prompt, .sampling = a.sampling, .max_tokens = a.max_tokens, .hash_logits = true};
}

struct Served {
  std::vector<FakeSink> sinks;
  u64 put_back = 0;
  u32 accepted = 0, accepted_of_model = 0;
  u32 cached = 0;
};

bool serve(const std::vector<Asked>& all, const ai::EngineOptions& options, Served& out,
           const FakeBehaviour& behaviour = {}, const FakeBehaviour* draft = nullptr) {
  TestPlatform platform;
  platform.fixed_step_ns = 1000;  // guesses must not depend on how busy the machine is
  auto engine = fake_engine(platform, options, behaviour);
  if (!engine.has_value()) return false;
  if (draft != nullptr && !give_draft(platform, **engine, *draft).has_value()) return false;
  out.sinks = std::vector<FakeSink>(all.size());
  u32 submitted = 0;
  bool right = true;
  for (u32 step = 0; submitted < all.size() || (*engine)->running() + (*engine)->queued() > 0;
       step++) {
    for (u32 i = 0; i < all.size(); i++)
      if (all[i].submit_at == step) {
        right &= (*engine)->submit(request_of(all[i]), out.sinks[i]).has_value();
        submitted++;
      }
    (*engine)->step();
    right &= (*engine)->consistent();
    if (step > 10000) return false;
  }
  right &= (*engine)->kv_pages_used() == 0;
  right &= draft == nullptr || (*engine)->draft()->store().pool().held() == 0;
  for (usize at = 0; (at = platform.log_text.find("put back", at)) != std::string::npos; at++)
    out.put_back++;
  for (const FakeSink& s : out.sinks) {
    out.accepted += s.timings.accepted_tokens;
    out.accepted_of_model += s.timings.model_accepted_tokens;
    out.cached += s.timings.cached_tokens;
    right &= s.ended && s.reason == ai::FinishReason::kLength;
  }
  return right;
}

void expect_same(TestContext& test, const char* what, const FakeSink& a, const FakeSink& b) {
  bool same = a.ids.size() == b.ids.size() && !a.ids.empty() &&
              std::memcmp(a.ids.data(), b.ids.data(), a.ids.size() * sizeof(TokenId)) == 0 &&
              std::memcmp(a.hashes.data(), b.hashes.data(), a.hashes.size() * sizeof(u64)) == 0 &&
              a.text == b.text;
  if (!same) test.report(__FILE__, __LINE__, what);
}

// Each request alone in a fresh engine, without any of the machinery.
std::vector<FakeSink> alone(const std::vector<Asked>& all, const FakeBehaviour& behaviour = {}) {
  std::vector<FakeSink> sinks;
  for (const Asked& a : all) {
    Served one;
    Asked now = a;
    now.submit_at = 0;
    if (!serve({now}, {.prefill_chunk = 8192, .speculate = false}, one, behaviour)) return {};
    sinks.push_back(std::move(one.sinks[0]));
  }
  return sinks;
}

}  // namespace

TEST(engine_exact, alone_or_in_company) {
  std::vector<Asked> all = requests(24);
  std::vector<FakeSink> wanted = alone(all);
  REQUIRE(wanted.size() == all.size());
  for (u32 running : {1u, 2u, 8u, 24u}) {
    Served served;
    REQUIRE(serve(all, {.max_requests = running, .speculate = false}, served));
    for (usize i = 0; i < all.size(); i++)
      expect_same(test, "in company", served.sinks[i], wanted[i]);
  }
}

TEST(engine_exact, however_the_prompt_is_cut) {
  std::vector<Asked> all = requests(12);
  std::vector<FakeSink> wanted = alone(all);
  REQUIRE(wanted.size() == all.size());
  for (u32 chunk : {1u, 2u, 3u, 7u, 16u, 64u}) {
    Served served;
    REQUIRE(serve(all, {.prefill_chunk = chunk, .speculate = false}, served));
    for (usize i = 0; i < all.size(); i++)
      expect_same(test, "in chunks", served.sinks[i], wanted[i]);
  }
}

TEST(engine_exact, from_the_prefix_cache) {
  std::vector<Asked> all = requests(12);
  std::vector<FakeSink> wanted = alone(all);
  REQUIRE(wanted.size() == all.size());
  TestPlatform platform;
  auto engine = fake_engine(platform, {.kv_bytes = 4000 * 32, .speculate = false});
  REQUIRE(engine.has_value());
  for (int round = 0; round < 3; round++)
    for (usize i = 0; i < all.size(); i++) {
      FakeSink sink;
      REQUIRE((*engine)->submit(request_of(all[i]), sink).has_value());
      while ((*engine)->step()) {
      }
      expect_same(test, "from the cache", sink, wanted[i]);
      if (round > 0) EXPECT_EQ(sink.timings.cached_tokens, all[i].prompt.size() - 1);
    }
  EXPECT((*engine)->kv_pages_cached() > 0);
  (*engine)->forget_prompts();
  EXPECT_EQ((*engine)->kv_pages_cached(), 0u);
}

TEST(engine_exact, with_guesses_or_without) {
  std::vector<Asked> all = requests(24);
  for (float habit : {0.0f, 5.0f, 9.0f}) {
    FakeBehaviour behaviour{.habit = habit};
    std::vector<FakeSink> wanted = alone(all, behaviour);
    REQUIRE(wanted.size() == all.size());
    for (u32 running : {1u, 4u, 16u}) {
      Served served;
      REQUIRE(serve(all, {.max_requests = running, .speculate = true}, served, behaviour));
      for (usize i = 0; i < all.size(); i++)
        expect_same(test, "with guesses", served.sinks[i], wanted[i]);
      if (habit > 8) EXPECT(served.accepted > 100);
    }
  }
}

TEST(engine_exact, with_a_draft_model_however_good_it_is) {
  std::vector<Asked> all = requests(24);
  constexpr FakeBehaviour kModel{.step_ns = 100'000};
  const FakeBehaviour same{}, near{.habit = 9}, bad{.habit = 0, .seed = 77};
  std::vector<FakeSink> wanted = alone(all, kModel);
  REQUIRE(wanted.size() == all.size());
  for (const FakeBehaviour* draft : {&same, &near, &bad}) {
    u32 accepted = 0;
    for (ai::EngineOptions options : {ai::EngineOptions{.max_requests = 1},
                                      {.max_requests = 4, .prefill_chunk = 7},
                                      {.max_requests = 16},
                                      // 32 pages are 128 tokens for eight requests.
                                      {.context = 120, .kv_bytes = 32 * 4 * 8}}) {
      Served served;
      REQUIRE(serve(all, options, served, kModel, draft));
      for (usize i = 0; i < all.size(); i++)
        expect_same(test, "with a draft model", served.sinks[i], wanted[i]);
      if (options.kv_bytes > 0) EXPECT(served.put_back > 0);
      accepted += served.accepted_of_model;
    }
    if (draft == &same) EXPECT(accepted > 1000);
    if (draft == &bad) EXPECT(accepted < 100);
  }
}

TEST(engine_exact, put_back_and_computed_again) {
  std::vector<Asked> all = requests(24);
  std::vector<FakeSink> wanted = alone(all);
  REQUIRE(wanted.size() == all.size());
  for (bool speculate : {false, true}) {
    Served served;
    // 32 pages are 128 tokens for eight requests.
    REQUIRE(serve(all, {.context = 120, .kv_bytes = 32 * 4 * 8, .speculate = speculate}, served));
    for (usize i = 0; i < all.size(); i++)
      expect_same(test, "put back", served.sinks[i], wanted[i]);
    EXPECT(served.put_back > 0);
  }
}

TEST(engine_exact, a_recurrent_model) {
  std::vector<Asked> all = requests(12);
  FakeBehaviour behaviour{.recurrent = true};
  std::vector<FakeSink> wanted = alone(all, behaviour);
  REQUIRE(wanted.size() == all.size());
  for (u32 running : {2u, 5u}) {
    Served served;
    REQUIRE(serve(all, {.max_requests = running, .prefill_chunk = 7}, served, behaviour));
    for (usize i = 0; i < all.size(); i++)
      expect_same(test, "recurrent", served.sinks[i], wanted[i]);
    EXPECT_EQ(served.accepted, 0u);
    EXPECT_EQ(served.cached, 0u);
  }
}

TEST(engine_exact, choices_of_one_prompt_share_its_pages) {
  std::vector<TokenId> prompt;
  for (u32 i = 0; i < 30; i++) prompt.push_back(5 + i * 7 % 50);
  std::vector<Asked> all(4);
  for (u32 i = 0; i < 4; i++) {
    all[i].prompt = prompt;
    all[i].sampling = {.temperature_milli = 900, .seed = i};
    all[i].max_tokens = 12;
  }
  std::vector<FakeSink> wanted = alone(all);
  REQUIRE(wanted.size() == 4);
  EXPECT(wanted[0].text != wanted[1].text);
  for (bool cache : {true, false}) {
    TestPlatform platform;
    auto engine = fake_engine(platform, {.prefill_chunk = 8, .speculate = false});
    REQUIRE(engine.has_value());
    FakeSink sinks[4];
    ai::RequestId first = 0;
    fake_steps.clear();
    for (u32 i = 0; i < 4; i++) {
      ai::Request r = request_of(all[i]);
      r.cache_prompt = cache;
      r.fork_of = first;
      auto id = (*engine)->submit(r, sinks[i]);
      REQUIRE(id.has_value());
      if (i == 0) first = *id;
    }
    u64 most = 0;
    while ((*engine)->step()) {
      most = std::max(most, (*engine)->kv_pages_used());
      REQUIRE((*engine)->consistent());
    }
    for (u32 i = 0; i < 4; i++) expect_same(test, "a choice", sinks[i], wanted[i]);
    // Seven whole pages shared, and at most four of its own for each choice's last 14 tokens.
    EXPECT(most <= 7 + 4 * 4);
    u32 rows = 0;
    for (const FakeStep& s : fake_steps) rows += s.rows;
    EXPECT_EQ(rows, 30u + 3 + 4 * 11);  // the prompt once, its last token for each
    EXPECT_EQ(sinks[1].timings.cached_tokens, 29u);
  }
}

TEST(engine_exact, sliding_goes_on_and_says_so) {
  TestPlatform platform;
  platform.fixed_step_ns = 1000;
  std::vector<FakeSink> sinks(3);
  for (u32 way : {0u, 1u, 2u}) {
    ai::EngineOptions options{.context = 32, .prefill_chunk = way == 0 ? 3u : 256u};
    auto engine = fake_engine(platform, options, {.step_ns = 100'000});
    REQUIRE(engine.has_value());
    if (way == 2) REQUIRE(give_draft(platform, **engine, {}).has_value());
    std::vector<TokenId> prompt = {kFakeBos, 9, 10, 11};
    ai::Request r{.prompt = prompt, .max_tokens = 100, .slide = true, .hash_logits = true};
    FakeSink& sink = sinks[way];
    REQUIRE((*engine)->submit(r, sink).has_value());
    while ((*engine)->step()) {
    }
    EXPECT(sink.reason == ai::FinishReason::kLength);
    EXPECT_EQ(sink.ids.size(), 100u);
    EXPECT_EQ((*engine)->kv_pages_used(), 0u);
  }
  EXPECT(platform.logged("context of 32 tokens full, the oldest 16 dropped as asked"));
  expect_same(test, "slid", sinks[0], sinks[1]);
  expect_same(test, "slid with a draft model", sinks[0], sinks[2]);
  EXPECT(sinks[2].timings.model_accepted_tokens > 40);
}
