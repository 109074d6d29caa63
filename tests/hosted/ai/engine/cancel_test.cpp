// SPDX-License-Identifier: GPL-2.0-or-later
// Requests that end while something else computes: everything that a session holds must come back.
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/ask.h"

namespace {

using ai::FinishReason, ai::TokenId;

struct ReadAll final : ai::ScoreSink {
  bool on_score(const ai::TokenScore&) override { return true; }
};

enum class Job : u8 { kEmbed, kScore };
constexpr Job kJobs[] = {Job::kEmbed, Job::kScore};

Result<void> compute(ai::EngineImpl& engine, Job job, std::span<const TokenId> text) {
  ReadAll sink;
  std::vector<float> vector(kFakeWidth);
  return job == Job::kScore ? engine.score(text, 1, sink)
                            : engine.embed(text, ai::Pooling::kMean, vector, nullptr);
}

// Nothing is held, and as many requests as the engine may run do run to their ends.
void expect_all_free(TestContext& test, ai::EngineImpl& engine, u32 most) {
  EXPECT_EQ(engine.running() + engine.queued(), 0u);
  EXPECT_EQ(engine.kv_pages_used(), 0u);
  EXPECT_EQ(engine.state_slots_used(), 0u);
  EXPECT(engine.consistent());
  std::vector<FakeSink> sinks(most);
  std::vector<TokenId> prompt = counted(6, 8);
  for (FakeSink& s : sinks)
    REQUIRE(engine.submit({.prompt = prompt, .max_tokens = 3}, s).has_value());
  run(engine);
  for (const FakeSink& s : sinks) EXPECT(s.reason == FinishReason::kLength);
  EXPECT_EQ(engine.kv_pages_used(), 0u);
  EXPECT_EQ(engine.state_slots_used(), 0u);
}

}  // namespace

// A client that leaves while an embedding or a text's scores are computed: its request is in no
// step then, and after `steps` of them it waits, reads its prompt, or answers.
TEST(engine_cancel, while_a_text_is_embedded_or_scored) {
  constexpr u32 kMost = 2;
  for (bool recurrent : {false, true})
    for (Job job : kJobs)
      for (u32 steps : {0u, 1u, 2u, 6u}) {
        TestPlatform platform;
        auto engine = fake_engine(platform, {.max_requests = kMost, .prefill_chunk = 8},
                                  {.recurrent = recurrent});
        REQUIRE(engine.has_value());
        std::vector<TokenId> prompt = counted(12), text = counted(40, 6);
        FakeSink sinks[kMost + 1];
        ai::RequestId ids[kMost + 1];
        for (u32 i = 0; i <= kMost; i++)
          ids[i] = (*engine)->submit({.prompt = prompt, .max_tokens = 30}, sinks[i]).value();
        for (u32 i = 0; i < steps; i++) (*engine)->step();
        platform.on_breathe = [&] {
          for (ai::RequestId id : ids) (*engine)->cancel(id);
        };
        EXPECT(compute(**engine, job, text).has_value());
        platform.on_breathe = nullptr;
        for (const FakeSink& s : sinks) EXPECT(s.reason == FinishReason::kCancelled);
        expect_all_free(test, **engine, kMost);
      }
}

// As a server does: again and again, more often than there are slots or pages.
TEST(engine_cancel, many_times_over) {
  constexpr u32 kMost = 3;
  for (bool recurrent : {false, true}) {
    TestPlatform platform;
    auto engine = fake_engine(platform, {.max_requests = kMost, .prefill_chunk = 8},
                              {.recurrent = recurrent});
    REQUIRE(engine.has_value());
    std::vector<TokenId> prompt = counted(30), text = counted(20, 6);
    for (u32 round = 0; round < 20; round++) {
      FakeSink sink;
      ai::RequestId id = (*engine)->submit({.prompt = prompt}, sink).value();
      (*engine)->step();
      platform.on_breathe = [&] { (*engine)->cancel(id); };
      EXPECT(compute(**engine, kJobs[round % 2], text).has_value());
      platform.on_breathe = nullptr;
      REQUIRE(sink.ended);
    }
    expect_all_free(test, **engine, kMost);
  }
}

// The part of a prompt that was read helps the next prompt with the same beginning, wherever its
// first reader stopped.
TEST(engine_cancel, a_prompt_half_read_is_remembered) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {.prefill_chunk = 16});
  REQUIRE(engine.has_value());
  std::vector<TokenId> prompt = counted(40), text = counted(10, 6);
  FakeSink first, second;
  ai::RequestId id = (*engine)->submit({.prompt = prompt}, first).value();
  (*engine)->step();
  platform.on_breathe = [&] { (*engine)->cancel(id); };
  EXPECT(compute(**engine, Job::kEmbed, text).has_value());
  platform.on_breathe = nullptr;
  EXPECT_EQ((*engine)->kv_pages_cached(), 4u);
  REQUIRE((*engine)->submit({.prompt = prompt, .max_tokens = 1}, second).has_value());
  run(**engine);
  EXPECT_EQ(second.timings.cached_tokens, 16u);
}
