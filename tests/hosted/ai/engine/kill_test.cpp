// SPDX-License-Identifier: GPL-2.0-or-later
// Requests that are killed at any moment, from anywhere: every page comes back.
#include <memory>

#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/ask.h"

namespace {

using ai::FinishReason;
using ai::TokenId;

// An engine in which requests are killed: four of them, two alike, one a further choice.
struct KillPlace {
  ai::EngineOptions options;
  FakeBehaviour behaviour;
  bool slides, puts_back;  // what must have happened, or the test shows nothing
};

// From outside after `when` steps; from a request's own sink; while a step is computed.
enum class KillFrom : u8 { kOutside, kSink, kStep };

void kill_three_of_four(TestContext& test, const KillPlace& place, KillFrom from, u32 when,
                        TestPlatform& platform) {
  std::vector<TokenId> shared = counted(21), own = counted(9, 7);
  auto engine = fake_engine(platform, place.options, place.behaviour);
  REQUIRE(engine.has_value());
  FakeSink sinks[4];
  ai::RequestId ids[4] = {};
  for (u32 i = 0; i < 4; i++) {
    ai::Request r{.prompt = i == 2 ? own : shared,
                  .max_tokens = i == 2 && place.slides ? 60u : 20u};
    r.fork_of = i == 3 ? ids[0] : 0;
    r.slide = place.slides;
    ids[i] = (*engine)->submit(r, sinks[i]).value();
  }
  auto kill = [&] {
    for (u32 i : {1u, 3u, 0u}) (*engine)->cancel(ids[i]);
  };
  if (from == KillFrom::kSink)
    sinks[0].hook = [&](u32 events) { events == when ? kill() : void(); };
  if (from == KillFrom::kStep)
    platform.on_breathe = [&] { platform.breaths == when ? kill() : void(); };
  for (u32 step = 0; (*engine)->step(); step++) {
    if (from == KillFrom::kOutside && step == when) {
      kill();
      EXPECT(sinks[0].ended && sinks[1].ended && sinks[3].ended);
    }
    REQUIRE((*engine)->consistent());
  }
  for (const FakeSink& s : sinks) EXPECT(s.ended);
  EXPECT(sinks[2].reason == FinishReason::kLength);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
  EXPECT_EQ((*engine)->running() + (*engine)->queued(), 0u);
  (*engine)->forget_prompts();
  EXPECT_EQ((*engine)->kv_pages_cached(), 0u);
  EXPECT((*engine)->consistent());
}

}  // namespace

// While prompts are read in chunks, at every token, put back, slid, forked, guessed, recurrent.
TEST(engine, killed_at_any_moment_every_page_comes_back) {
  constexpr u32 kPage = 32;  // bytes of the fake model's
  const KillPlace places[] = {
      {{.max_requests = 3, .prefill_chunk = 5}, {}, false, false},
      {{.max_requests = 3, .prefill_chunk = 5}, {.habit = 9}, false, false},
      {{.max_requests = 3, .prefill_chunk = 5}, {.recurrent = true}, false, false},
      // 13 pages of four tokens for three requests of up to twelve.
      {{.context = 48, .max_requests = 3, .kv_bytes = 13 * kPage, .prefill_chunk = 5},
       {},
       true,
       true},
  };
  for (const KillPlace& place : places) {
    bool slid = false, put_back = false;
    for (KillFrom from : {KillFrom::kOutside, KillFrom::kSink, KillFrom::kStep})
      for (u32 when = 1; when < 40; when++) {
        TestPlatform platform;
        kill_three_of_four(test, place, from, when, platform);
        slid |= platform.logged("dropped as asked");
        put_back |= platform.logged("put back");
      }
    EXPECT_EQ(slid, place.slides);
    EXPECT_EQ(put_back, place.puts_back);
  }
}

TEST(engine, a_killed_reader_s_pages_help_whoever_asks_again) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {.prefill_chunk = 8});
  REQUIRE(engine.has_value());
  std::vector<TokenId> prompt = counted(40);
  FakeSink first, second;
  ai::RequestId id = (*engine)->submit({.prompt = prompt, .max_tokens = 3}, first).value();
  (*engine)->step();
  (*engine)->step();
  (*engine)->cancel(id);
  EXPECT(first.reason == FinishReason::kCancelled);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
  ask(**engine, {.prompt = prompt, .max_tokens = 3}, second);
  EXPECT_EQ(second.timings.cached_tokens, 16u);
}

TEST(engine, an_engine_destroyed_in_the_middle_leaks_nothing) {
  TestPlatform platform;
  i64 live = host::live_allocations();
  {
    auto engine = fake_engine(platform, {});
    REQUIRE(engine.has_value());
    FakeSink sinks[3];
    std::vector<TokenId> prompt = counted(30);
    for (FakeSink& s : sinks) REQUIRE((*engine)->submit({.prompt = prompt}, s).has_value());
    for (u32 i = 0; i < 5; i++) (*engine)->step();
  }
  EXPECT_EQ(host::live_allocations(), live);
  EXPECT_EQ(platform.live_page_bytes(), 0u);
}
