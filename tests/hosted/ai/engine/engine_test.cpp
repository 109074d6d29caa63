// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's promises besides exactness: every page comes back, nothing allocates on the token
// path, and errors say why.
#include "ai/engine/engine.h"

#include <memory>

#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/ask.h"

namespace {

using ai::FinishReason;
using ai::TokenId;

}  // namespace

TEST(engine, the_token_path_allocates_nothing) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {.context = 100, .kv_bytes = 30 * 32, .prefill_chunk = 7});
  REQUIRE(engine.has_value());
  FakeSink sinks[6];
  std::vector<TokenId> prompt = counted(20), other = counted(33, 6);
  const std::string_view stop[] = {"never said"};
  for (u32 i = 0; i < 6; i++) {
    ai::Request r{.prompt = i % 2 == 0 ? prompt : other,
                  .sampling = {.temperature_milli = 900,
                               .repeat_penalty_milli = 1200,
                               .dry_multiplier_milli = 500,
                               .seed = i},
                  .max_tokens = 60,
                  .stop = stop,
                  .logprobs = 5,
                  .slide = i == 4,
                  .hash_logits = true};
    REQUIRE((*engine)->submit(r, sinks[i]).has_value());
    sinks[i].ids.reserve(100), sinks[i].hashes.reserve(100), sinks[i].logprobs.reserve(100);
  }
  u64 before = host::allocation_count();
  run(**engine);
  EXPECT_EQ(host::allocation_count(), before);
  EXPECT(platform.logged("put back"));
  for (const FakeSink& s : sinks) EXPECT(s.ended && s.ids.size() == 60);
}

TEST(engine, the_token_path_allocates_nothing_with_guesses_or_a_grammar) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {}, {.habit = 9});
  REQUIRE(engine.has_value());
  auto trie = ai::TokenTrie::build((*engine)->tokenizer());
  REQUIRE(trie.has_value());
  String problem;
  base::StringWriter writer(problem);
  auto grammar = ai::Grammar::from_gbnf("root ::= [a-z]* | \"x\" root", **trie, writer);
  REQUIRE(grammar.has_value());
  FakeSink guessing, bound;
  std::vector<TokenId> prompt = counted(12);
  for (FakeSink* sink : {&guessing, &bound}) {
    ai::Request r{.prompt = prompt, .max_tokens = 150, .hash_logits = true};
    if (sink == &bound) r.grammar = grammar->get();
    REQUIRE((*engine)->submit(r, *sink).has_value());
    sink->ids.reserve(200), sink->hashes.reserve(200), sink->logprobs.reserve(200);
    sink->text.reserve(1000);
  }
  u64 before = host::allocation_count();
  run(**engine);
  EXPECT_EQ(host::allocation_count(), before);
  EXPECT(guessing.timings.accepted_tokens > 20);
  EXPECT(bound.ids.size() > 20);
}

TEST(engine, no_allocation_of_loading_or_submitting_can_fail_badly) {
  i64 live = host::live_allocations();
  TestPlatform platform;
  std::vector<TokenId> prompt = counted(20);
  const std::string_view stop[] = {"stop", "halt"};
  const ai::LogitBias bias[] = {{7, 100}};
  u64 load_failures = 0, submit_failures = 0;
  for (u64 n = 1; n < 200; n++) {
    host::fail_allocation(n);
    auto engine = fake_engine(platform, {}, {.recurrent = n % 2 == 0});
    host::fail_allocation(0);
    if (engine.has_value()) break;
    EXPECT(engine.error().code == Errc::kOutOfMemory);
    load_failures++;
    EXPECT_EQ(host::live_allocations(), live);
    EXPECT_EQ(platform.live_page_bytes(), 0u);
  }
  EXPECT(load_failures > 15);
  {
    auto engine = fake_engine(platform, {});
    REQUIRE(engine.has_value());
    i64 loaded = host::live_allocations();
    for (u64 n = 1; n < 100; n++) {
      FakeSink sink;
      host::fail_allocation(n);
      auto id =
          (*engine)->submit({.prompt = prompt, .bias = bias, .max_tokens = 5, .stop = stop}, sink);
      host::fail_allocation(0);
      if (id.has_value()) {
        run(**engine);
        EXPECT(sink.reason == FinishReason::kLength);
        break;
      }
      EXPECT(id.error().code == Errc::kOutOfMemory);
      EXPECT(!sink.ended);
      submit_failures++;
      EXPECT_EQ(host::live_allocations(), loaded);
    }
    EXPECT(submit_failures > 8);
    EXPECT_EQ(host::live_allocations(), loaded);
  }
  EXPECT_EQ(host::live_allocations(), live);
  EXPECT_EQ(platform.live_page_bytes(), 0u);
}

// Where reading is dear the chunks become small, where it is cheap large: a step with a prompt
// takes about three times as long as one without.
TEST(engine, a_running_answer_is_not_held_up_by_a_long_prompt) {
  struct Row {
    u64 row_ns;
    u32 least, most;  // rows of the chunks behind the first
  };
  constexpr u64 kStepNs = 10'000'000;
  for (const Row& row : {Row{5'000'000, 16, 16}, Row{200'000, 80, 120}, Row{1'000, 200, 200}}) {
    TestPlatform platform;
    platform.fixed_step_ns = 1;
    auto engine = fake_engine(platform, {.prefill_chunk = 200, .speculate = false},
                              {.step_ns = kStepNs, .row_ns = row.row_ns});
    REQUIRE(engine.has_value());
    FakeSink talker, reader;
    std::vector<TokenId> brief = counted(3), long_prompt = counted(240);
    REQUIRE((*engine)->submit({.prompt = brief, .max_tokens = 50}, talker).has_value());
    for (u32 i = 0; i < 3; i++) (*engine)->step();
    REQUIRE((*engine)->submit({.prompt = long_prompt, .max_tokens = 5}, reader).has_value());
    for (u32 step = 0; reader.ids.empty(); step++) {
      REQUIRE(step < 30);
      usize before = talker.ids.size();
      fake_steps.clear();
      u64 began = platform.now_ns();
      (*engine)->step();
      u64 taken = platform.now_ns() - began;
      EXPECT_EQ(talker.ids.size(), before + 1);
      u32 chunk = fake_steps.back().rows - 1;
      if (step == 0) continue;
      EXPECT(chunk <= row.most && (chunk >= row.least || reader.prefilled == 240));
      if (chunk > ai::Scheduler::kLeastChunk) EXPECT(taken <= 4 * (kStepNs + row.row_ns));
    }
    EXPECT_EQ(reader.prefilled, 240u);
    EXPECT_EQ(reader.prompt, 240u);
    run(**engine);
  }
}

TEST(engine, a_full_context_is_an_error_with_both_numbers) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {.context = 32});
  REQUIRE(engine.has_value());
  FakeSink sink;
  std::vector<TokenId> prompt = counted(32);
  auto id = (*engine)->submit({.prompt = prompt}, sink);
  REQUIRE(!id.has_value());
  EXPECT(id.error().code == Errc::kContextFull);
  EXPECT(platform.logged("prompt of 32 tokens exceeds the available context size of 32 tokens"));
  EXPECT(!sink.ended);
  prompt.pop_back();
  ask(**engine, {.prompt = prompt}, sink);
  EXPECT(sink.reason == FinishReason::kContextFull);
  EXPECT(sink.error == Errc::kContextFull);
  EXPECT_EQ(sink.ids.size(), 1u);
  EXPECT(platform.logged("32 tokens reached the available context size of 32 tokens"));
  FakeSink exact;  // what was asked for fits to the last token
  prompt.resize(20);
  ask(**engine, {.prompt = prompt, .max_tokens = 12}, exact);
  EXPECT(exact.reason == FinishReason::kLength);
  EXPECT_EQ(exact.ids.size(), 12u);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
}

TEST(engine, what_makes_no_sense_is_refused) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {.max_requests = 1, .max_queued = 2});
  REQUIRE(engine.has_value());
  FakeSink sink, sinks[3];
  std::vector<TokenId> prompt = counted(4), beyond = {5, kFakeVocabulary};
  const ai::LogitBias bias[] = {{kFakeVocabulary, 1}};
  const std::string_view stop[] = {""};
  const ai::Request bad[] = {
      {},
      {.prompt = beyond},
      {.prompt = prompt, .sampling = {.temperature_milli = -1}},
      {.prompt = prompt, .bias = bias},
      {.prompt = prompt, .stop = stop},
  };
  for (const ai::Request& r : bad) {
    auto id = (*engine)->submit(r, sink);
    REQUIRE(!id.has_value());
    EXPECT(id.error().code == Errc::kInvalidArgument);
  }
  for (u32 i = 0; i < 2; i++)
    REQUIRE((*engine)->submit({.prompt = prompt, .max_tokens = 4}, sinks[i]).has_value());
  auto full = (*engine)->submit({.prompt = prompt}, sink);
  REQUIRE(!full.has_value());
  EXPECT(full.error().code == Errc::kFull);
  (*engine)->step();
  EXPECT_EQ((*engine)->running(), 1u);
  EXPECT_EQ((*engine)->queued(), 1u);
  auto other = (*engine)->submit({.prompt = beyond, .fork_of = 1}, sink);
  EXPECT(!other.has_value());
  std::vector<TokenId> not_the_same = counted(4, 9);
  auto fork = (*engine)->submit({.prompt = not_the_same, .fork_of = 1}, sink);
  REQUIRE(!fork.has_value());
  EXPECT(fork.error().code == Errc::kInvalidArgument);
  run(**engine);
  EXPECT(!sink.ended);
  EXPECT(!(*engine)->step());
}

TEST(engine, one_broken_text_does_not_end_the_others) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {.speculate = false}, {.poison = 63});
  REQUIRE(engine.has_value());
  FakeSink good, bad, alone;
  std::vector<TokenId> fine = counted(10), poisoned = counted(10);
  poisoned[5] = 63;
  const ai::LogitBias never[] = {{63, -100'000}};
  REQUIRE((*engine)->submit({.prompt = fine, .bias = never, .max_tokens = 9}, good).has_value());
  REQUIRE((*engine)->submit({.prompt = poisoned, .max_tokens = 9}, bad).has_value());
  run(**engine);
  EXPECT(bad.reason == FinishReason::kError);
  EXPECT(bad.error == Errc::kCorrupt);
  EXPECT(good.reason == FinishReason::kLength);
  ask(**engine, {.prompt = fine, .bias = never, .max_tokens = 9}, alone);
  EXPECT(good.ids == alone.ids);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
}

TEST(engine, ends_at_the_end_token_the_stop_string_or_the_limit) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {}, {.habit = 0, .may_end = true});
  REQUIRE(engine.has_value());
  std::vector<TokenId> prompt = counted(6);
  FakeSink stopped, ignoring;
  const ai::LogitBias soon[] = {{kFakeEnd, 3000}};
  ask(**engine, {.prompt = prompt, .bias = soon, .max_tokens = 200}, stopped);
  EXPECT(stopped.reason == FinishReason::kStop);
  EXPECT(stopped.ids.size() < 200);
  EXPECT_EQ(stopped.timings.generated_tokens, stopped.ids.size());
  ask(**engine, {.prompt = prompt, .bias = soon, .max_tokens = 200, .ignore_end = true}, ignoring);
  EXPECT_EQ(ignoring.ids.size(), 200u);
  EXPECT_EQ(ignoring.ids[stopped.ids.size()], kFakeEnd);

  // Any three letters of the text as the stop string: the text before them comes out.
  for (usize at = 0; at + 3 < ignoring.text.size() && at < 40; at++) {
    std::string part = ignoring.text.substr(at, 3);
    if (static_cast<signed char>(part[0]) < 0 || static_cast<signed char>(part[2]) < 0) continue;
    FakeSink sink;
    const std::string_view stop[] = {part};
    ask(**engine,
        {.prompt = prompt, .bias = soon, .max_tokens = 200, .stop = stop, .ignore_end = true},
        sink);
    EXPECT(sink.reason == FinishReason::kStop);
    EXPECT_EQ(sink.text, ignoring.text.substr(0, ignoring.text.find(part)));
  }
}

TEST(engine, text_held_back_comes_before_the_end) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {}, {.habit = 0});
  REQUIRE(engine.has_value());
  std::vector<TokenId> prompt = counted(6);
  // Only the first half of a character may be said.
  const ai::LogitBias half[] = {{2, 100'000}};
  FakeSink sink;
  ask(**engine, {.prompt = prompt, .bias = half, .max_tokens = 2}, sink);
  EXPECT_EQ(sink.text, std::string("\xef\xbf\xbd\xef\xbf\xbd"));
  const ai::LogitBias letters[] = {{5, 100'000}};  // "abc"
  const std::string_view stop[] = {"abcabcabcabcX"};
  FakeSink held;
  ask(**engine, {.prompt = prompt, .bias = letters, .max_tokens = 3, .stop = stop}, held);
  EXPECT_EQ(held.text, std::string("abcabcabc"));
  EXPECT_EQ(held.ids.size(), 3u);
}

TEST(engine, grammar_bounds_what_is_said) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {}, {.may_end = true});
  REQUIRE(engine.has_value());
  auto trie = ai::TokenTrie::build((*engine)->tokenizer());
  REQUIRE(trie.has_value());
  String problem;
  base::StringWriter writer(problem);
  auto grammar = ai::Grammar::from_gbnf("root ::= [x-z] [a-c]+ \"q\"", **trie, writer);
  REQUIRE(grammar.has_value());
  std::vector<TokenId> prompt = counted(6);
  for (u64 seed = 0; seed < 20; seed++) {
    FakeSink sink, same;
    ai::Request r{.prompt = prompt,
                  .sampling = {.temperature_milli = 1500, .seed = seed},
                  .max_tokens = 100,
                  .grammar = grammar->get(),
                  .hash_logits = true};
    ask(**engine, r, sink);
    REQUIRE(sink.ended);
    if (sink.reason == FinishReason::kStop) {
      EXPECT(sink.text.size() >= 3 && sink.text.back() == 'q' && sink.text[0] >= 'x');
    }
    EXPECT(sink.reason == FinishReason::kStop || sink.reason == FinishReason::kLength);
    for (usize i = 1; i + 1 < sink.text.size(); i++) EXPECT(sink.text[i] <= 'c');
    r.cache_prompt = false;
    ask(**engine, r, same);
    EXPECT(same.ids == sink.ids && same.hashes == sink.hashes);
  }
}

TEST(engine, scores_are_what_generation_reported) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {});
  REQUIRE(engine.has_value());
  std::vector<TokenId> prompt = counted(7);
  FakeSink sink;
  ask(**engine, {.prompt = prompt, .max_tokens = 60, .logprobs = 1}, sink);
  std::vector<TokenId> text = prompt;
  text.insert(text.end(), sink.ids.begin(), sink.ids.end());
  struct Scores final : ai::ScoreSink {
    bool on_score(const ai::TokenScore& s) override {
      ids.push_back(s.id), logprobs.push_back(s.logprob_micro), top.push_back(s.top[0].id);
      return ids.size() < limit;
    }
    std::vector<TokenId> ids, top;
    std::vector<i32> logprobs;
    usize limit = 1000;
  } scores, some;
  REQUIRE((*engine)->score(text, 3, scores).has_value());
  REQUIRE(scores.ids.size() == text.size());
  for (usize i = 0; i < sink.ids.size(); i++) {
    EXPECT_EQ(scores.ids[prompt.size() - 1 + i], sink.ids[i]);
    EXPECT_EQ(scores.logprobs[prompt.size() - 1 + i], sink.logprobs[i]);
    EXPECT_EQ(scores.top[prompt.size() - 1 + i], sink.ids[i]);  // greedy
  }
  EXPECT_EQ(scores.ids.back(), ai::Tokenizer::kNoToken);
  some.limit = 5;
  REQUIRE((*engine)->score(text, 1, some).has_value());
  EXPECT_EQ(some.ids.size(), 5u);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
  EXPECT((*engine)->consistent());
}

TEST(engine, guesses_stop_where_they_do_not_pay) {
  TestPlatform platform;
  platform.fixed_step_ns = 1000;  // every step costs the same
  std::vector<TokenId> prompt = counted(6);
  u32 steps[2] = {}, drafted[2] = {};
  for (u32 habitual : {0u, 1u}) {
    auto engine = fake_engine(platform, {}, {.habit = habitual == 1 ? 9.0f : 0.0f});
    REQUIRE(engine.has_value());
    FakeSink sink;
    fake_steps.clear();
    ask(**engine, {.prompt = prompt, .max_tokens = 200}, sink);
    steps[habitual] = static_cast<u32>(fake_steps.size());
    drafted[habitual] = sink.timings.drafted_tokens;
    EXPECT_EQ(sink.ids.size(), 200u);
  }
  EXPECT(steps[1] < 60);     // rounds of eight tokens, found at once
  EXPECT(drafted[0] < 100);  // of 200 random tokens
  EXPECT(steps[0] > 190);
}

TEST(engine, figures_are_integers_from_one_clock) {
  TestPlatform platform;
  platform.fixed_step_ns = 1000;
  auto engine = fake_engine(platform, {.prefill_chunk = 4, .speculate = false});
  REQUIRE(engine.has_value());
  FakeSink sink;
  std::vector<TokenId> prompt = counted(10);
  ask(**engine, {.prompt = prompt, .max_tokens = 11}, sink);
  const ai::Timings& t = sink.timings;
  EXPECT_EQ(t.prompt_tokens, 10u);
  EXPECT_EQ(t.generated_tokens, 11u);
  EXPECT(t.queued_ns > 0 && t.prefill_ns > t.queued_ns);
  EXPECT_EQ(t.first_token_ns, t.queued_ns + t.prefill_ns + 1000);
  EXPECT(t.gap_p50_ns > 0 && t.gap_p50_ns <= t.gap_p95_ns && t.gap_p99_ns <= t.gap_max_ns);
  EXPECT_EQ(t.decode_ns, 10 * t.gap_p50_ns);

  ai::RequestClock clock;
  REQUIRE(clock.create(5).has_value());
  clock.work_begins(10);
  clock.prompt_done(20);
  clock.token(30);
  u64 now = 30;
  for (u64 gap = 1; gap <= 100; gap++) clock.token(now += gap * 10);
  ai::Timings figures;
  clock.finish(figures);
  EXPECT_EQ(figures.gap_p50_ns, 500u);
  EXPECT_EQ(figures.gap_p95_ns, 950u);
  EXPECT_EQ(figures.gap_p99_ns, 990u);
  EXPECT_EQ(figures.gap_max_ns, 1000u);
  EXPECT_EQ(figures.queued_ns, 5u);
  EXPECT_EQ(figures.prefill_ns, 10u);
  EXPECT_EQ(figures.first_token_ns, 25u);
}

TEST(engine, a_context_that_does_not_fit_is_refused_with_one_that_would) {
  TestPlatform platform;
  auto limited = [&](u32 context, u64 memory) {
    return fake_engine(platform, {.context = context, .max_requests = 2, .memory_bytes = memory});
  };
  auto ample = limited(200, 1 << 20);
  REQUIRE(ample.has_value());
  const u64 memory = (*ample)->plan().total() - 1000;
  auto refused = limited(200, memory);
  REQUIRE(!refused.has_value());
  EXPECT(refused.error().code == Errc::kOutOfMemory);
  usize at = platform.log_text.rfind("a context of ");
  u32 fits = static_cast<u32>(std::stoul(platform.log_text.substr(at + 13)));
  EXPECT(fits >= 16 && fits < 200);
  EXPECT(platform.logged("a context of 200 tokens takes"));
  auto accepted = limited(fits, memory);
  REQUIRE(accepted.has_value());
  const ai::MemoryPlan& plan = (*accepted)->plan();
  EXPECT(plan.total() - plan.weights_bytes <= memory);
  EXPECT_EQ(plan.context, fits);
  EXPECT(!limited(fits + 1, memory).has_value());
  auto chosen = limited(0, memory);  // as much as there is
  REQUIRE(chosen.has_value());
  EXPECT_EQ((*chosen)->plan().context, fits);
  EXPECT(!limited(0, 100).has_value());
  EXPECT(!limited(3, 0).has_value());
  EXPECT(!fake_engine(platform, {.context = 100, .kv_bytes = 10 * 32}).has_value());
  EXPECT(platform.logged("a context of 40 tokens would fit"));
}

TEST(engine, sinks_may_ask_again_from_inside) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {.max_requests = 2, .max_queued = 8});
  REQUIRE(engine.has_value());
  std::vector<TokenId> prompt = counted(6);
  std::vector<std::unique_ptr<FakeSink>> sinks;
  std::function<void(u32)> next = [&](u32 events) {
    EXPECT(!(*engine)->step());
    if (events != 2 || sinks.size() >= 30) return;
    sinks.push_back(std::make_unique<FakeSink>());
    sinks.back()->hook = next;
    EXPECT((*engine)->submit({.prompt = prompt, .max_tokens = 3}, *sinks.back()).has_value());
  };
  sinks.push_back(std::make_unique<FakeSink>());
  sinks[0]->hook = next;
  ask(**engine, {.prompt = prompt, .max_tokens = 3}, *sinks[0]);
  EXPECT_EQ(sinks.size(), 30u);
  for (auto& s : sinks) EXPECT(s->ended);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
}

TEST(engine, drafts_come_from_where_the_ending_stood_before) {
  TokenId out[6];
  auto draft = [&](std::vector<TokenId> tokens, usize most = 6) {
    u32 n = ai::find_draft(tokens, std::span(out).first(most));
    return std::vector<TokenId>(out, out + n);
  };
  using Ids = std::vector<TokenId>;
  EXPECT(draft({1, 2, 3, 4, 5, 9, 1, 2, 3}) == (Ids{4, 5, 9, 1, 2, 3}));
  EXPECT(draft({1, 2, 3, 4, 5, 9, 1, 2, 3}, 2) == (Ids{4, 5}));
  EXPECT(draft({7, 1, 2, 8, 6, 7, 1, 2, 5, 7, 1, 2}, 1) == (Ids{5}));     // the latest of equals
  EXPECT(draft({9, 7, 1, 2, 8, 6, 1, 2, 5, 9, 7, 1, 2}, 1) == (Ids{8}));  // the longest first
  EXPECT(draft({1, 2, 1, 2}) == (Ids{1, 2, 1, 2, 1, 2}));
  EXPECT(draft({1, 2, 3}).empty());
  EXPECT(draft({1, 9, 1}).empty());  // one token is too little
  EXPECT(draft({1}).empty());
  EXPECT(draft({}).empty());
}
