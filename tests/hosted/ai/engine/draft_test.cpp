// SPDX-License-Identifier: GPL-2.0-or-later
// The draft model: what it saves, when it is off, and what happens when it fails. exact_test.cpp
// proves that it changes no text.
#include "ai/engine/draft_model.h"

#include "arch/host/memory.h"
#include "kernel/base/bytes.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/ask.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

using ai::FinishReason, ai::TokenId;

// A step of the model takes a hundred times as long as one of the draft model.
constexpr FakeBehaviour kSlow{.step_ns = 100'000};

std::vector<Byte> model_bytes(const char* family) {
  TinyModel tiny;
  if (!make_tiny_model(family, tiny)) return {};
  give_tokenizer(tiny, false);
  return std::move(tiny.file);
}

// Gives one token of two letters another spelling.
void respell_a_token(std::vector<Byte>& file) {
  auto letter = [](Byte b) { return b >= 'a' && b <= 'z'; };
  for (usize i = 0; i + 10 <= file.size(); i++) {
    if (base::load<u64>(file.data() + i) != 2 || !letter(file[i + 8]) || !letter(file[i + 9]))
      continue;
    file[i + 9] = '7';
    return;
  }
}

struct TinyAnswers {
  std::vector<FakeSink> sinks;
  Result<void> added;
};

// Serves three requests on a tiny model, with a draft model unless `draft` is null.
bool serve_tiny(const char* family, const char* draft, const char* kernels, TinyAnswers& out) {
  TestPlatform platform(2);
  std::vector<Byte> bytes = model_bytes(family), draft_bytes;
  ai::EngineOptions options{.context = 96, .kernels = kernels};
  auto engine = ai::Engine::load(bytes, platform, options);
  if (!engine.has_value()) return false;
  if (draft != nullptr) {
    draft_bytes = model_bytes(draft);
    std::span<Byte> file = draft_bytes;
    out.added = (*engine)->add_draft({&file, 1}, options);
    if (!out.added.has_value()) return false;
  }
  out.sinks = std::vector<FakeSink>(3);
  for (u32 i = 0; i < 3; i++) {
    std::vector<TokenId> prompt = counted(4 + 20 * i, 3 + i);
    ai::Request request{.prompt = prompt,
                        .sampling = {.temperature_milli = i == 0 ? 0 : 800, .seed = i},
                        .max_tokens = 30,
                        .ignore_end = true,
                        .hash_logits = true};
    if (!(*engine)->submit(request, out.sinks[i]).has_value()) return false;
  }
  while ((*engine)->step()) {
  }
  return true;
}

}  // namespace

TEST(engine_draft, guesses_as_the_sampler_would_pick) {
  for (i32 temperature : {0, 800}) {
    TestPlatform platform;
    platform.fixed_step_ns = 1000;
    auto engine = fake_engine(platform, {}, {.habit = 0, .step_ns = 100'000});
    REQUIRE(engine.has_value());
    REQUIRE(give_draft(platform, **engine, {.habit = 0}).has_value());
    FakeSink sink;
    std::vector<TokenId> prompt = counted(20);
    fake_steps.clear();
    ai::Request request{.prompt = prompt,
                        .sampling = {.temperature_milli = temperature,
                                     .repeat_penalty_milli = 1200,
                                     .xtc_probability_milli = 300,
                                     .seed = 9},
                        .max_tokens = 150};
    ask(**engine, request, sink);
    const ai::Timings& t = sink.timings;
    EXPECT_EQ(sink.ids.size(), 150u);
    EXPECT(t.model_drafted_tokens > 100);
    // The same model guesses, so only a guess behind the answer's end is not needed.
    EXPECT_EQ(t.model_accepted_tokens, t.model_drafted_tokens);
    EXPECT_EQ((*engine)->draft()->store().pool().held(), 0u);
  }
}

TEST(engine_draft, is_off_where_it_does_not_pay) {
  for (u64 draft_ns : {u64{20'000}, u64{200'000}}) {  // a bad one, and a good one that is too slow
    TestPlatform platform;
    platform.fixed_step_ns = 1000;
    auto engine = fake_engine(platform, {}, {.habit = 0, .step_ns = 100'000});
    REQUIRE(engine.has_value());
    bool slow = draft_ns > 100'000;
    FakeBehaviour draft{.habit = 0, .step_ns = draft_ns, .seed = slow ? 0u : 5u};
    REQUIRE(give_draft(platform, **engine, draft).has_value());
    FakeSink first, second;
    std::vector<TokenId> prompt = counted(9), other = counted(12, 7);
    ask(**engine, {.prompt = prompt, .max_tokens = 150}, first);
    ask(**engine, {.prompt = other, .max_tokens = 150}, second);
    EXPECT(first.timings.model_off_tokens > 80);
    EXPECT(first.timings.model_drafted_tokens > 0);
    EXPECT(first.timings.model_drafted_tokens < 100);
    // The second request begins with what the first one learned.
    EXPECT(second.timings.model_off_tokens >= first.timings.model_off_tokens);
    EXPECT(second.timings.model_drafted_tokens <= 12);
  }
}

TEST(engine_draft, the_choice_is_what_gives_most_tokens_a_second) {
  ai::StepCosts model, draft;
  ai::DraftPolicy good, bad;
  for (u32 i = 0; i < 40; i++) good.learn(15, 15), bad.learn(15, 0);
  auto choose = [&](std::vector<ai::DraftCandidate> all, u32 rows) {
    ai::DraftChoice c = ai::choose_drafts(all, {model, draft, rows});
    return std::pair(c.requests, c.guesses);
  };
  using Choice = std::pair<u32, u32>;
  EXPECT(choose({{&good, 15, 0, 256}}, 1) == Choice(0, 0));  // nothing is measured yet
  {
    ai::StepCosts only_large;  // every step so far had guesses by lookup
    only_large.learn(6, 1000);
    std::vector<ai::DraftCandidate> one = {{&good, 15, 5, 300}};
    EXPECT_EQ(ai::choose_drafts(one, {only_large, draft, 1}).guesses, 15u);
  }
  model.learn(1, 1000);
  EXPECT(choose({{&good, 15, 0, 256}}, 1) == Choice(1, 15));  // the draft model is tried
  draft.learn(1, 100);
  EXPECT(choose({{&good, 15, 0, 256}}, 1) == Choice(1, 15));
  EXPECT(choose({{&good, 4, 0, 256}}, 1).first == 1);
  EXPECT(choose({{&bad, 15, 0, 256}}, 1) == Choice(0, 0));
  EXPECT(choose({{&good, 0, 0, 256}}, 1) == Choice(0, 0));
  EXPECT(choose({}, 0) == Choice(0, 0));
  // Guesses by lookup that are as good cost nothing.
  EXPECT(choose({{&good, 15, 15, good.gives(15)}}, 1) == Choice(0, 0));
  // Only the one that it guesses well for; together they have sixteen guesses.
  EXPECT(choose({{&good, 15, 0, 256}, {&bad, 15, 0, 256}}, 2) == Choice(1, 15));
  EXPECT(choose({{&good, 15, 0, 256}, {&good, 15, 0, 256}}, 2) == Choice(2, 8));
  draft.learn(1, 1'000'000);
  for (u32 i = 0; i < 40; i++) draft.learn(1, 1000);
  EXPECT(choose({{&good, 15, 0, 256}}, 1) == Choice(0, 0));
}

TEST(engine_draft, reads_a_known_beginning_once) {
  TestPlatform platform;
  platform.fixed_step_ns = 1000;
  auto engine = fake_engine(platform, {}, kSlow);
  REQUIRE(engine.has_value());
  REQUIRE(give_draft(platform, **engine, {}).has_value());
  std::vector<TokenId> prompt = counted(100);
  FakeSink first, second;
  ask(**engine, {.prompt = prompt, .max_tokens = 20}, first);
  prompt.insert(prompt.end(), first.ids.begin(), first.ids.end());
  prompt.push_back(9);
  fake_steps.clear();
  ask(**engine, {.prompt = prompt, .max_tokens = 20}, second);
  u32 rows = 0;
  for (const FakeStep& s : fake_steps) rows += s.rows;
  EXPECT(second.timings.model_accepted_tokens > 10);
  EXPECT(rows < 90);  // of 121 tokens in the prompt for each of the two models
  EXPECT((*engine)->draft()->store().pool().idle() > 0);
  (*engine)->forget_prompts();
  EXPECT_EQ((*engine)->draft()->store().pool().idle(), 0u);
}

// A person leaves at each moment when other threads may run: while the draft model reads, guesses,
// or makes a mask.
TEST(engine_draft, cancelled_at_any_moment) {
  u64 whole = 0;
  auto run_and_cancel = [&](u64 when, bool bound) {
    TestPlatform platform;
    platform.fixed_step_ns = 1000;
    auto engine = fake_engine(platform, {.max_requests = 2, .prefill_chunk = 8}, kSlow);
    REQUIRE(engine.has_value());
    REQUIRE(give_draft(platform, **engine, {}).has_value());
    auto trie = ai::TokenTrie::build((*engine)->tokenizer());
    REQUIRE(trie.has_value());
    String problem;
    base::StringWriter writer(problem);
    auto grammar = ai::Grammar::from_gbnf("root ::= (.?){2000}", **trie, writer);
    REQUIRE(grammar.has_value());
    std::vector<TokenId> prompt = counted(30), other = counted(5, 7);
    FakeSink gone, stays, late;
    ai::Request request{.prompt = prompt, .max_tokens = 8};
    if (bound) request.grammar = grammar->get();
    u64 before = platform.breaths;
    ai::RequestId id = (*engine)->submit(request, gone).value();
    REQUIRE((*engine)->submit({.prompt = other, .max_tokens = 12}, stays).has_value());
    platform.on_breathe = [&] {
      if (platform.breaths - before != when) return;
      (*engine)->cancel(id);
      EXPECT((*engine)->submit({.prompt = prompt, .max_tokens = 5}, late).has_value());
    };
    while ((*engine)->step()) REQUIRE((*engine)->consistent());
    platform.on_breathe = nullptr;
    if (when == 0) whole = platform.breaths - before;
    EXPECT(gone.ended && (gone.reason == FinishReason::kCancelled) == (when > 0));
    EXPECT(stays.ended && stays.ids.size() == 12);
    EXPECT(when == 0 || late.ids.size() == 5);
    EXPECT_EQ((*engine)->kv_pages_used(), 0u);
    EXPECT_EQ((*engine)->draft()->store().pool().held(), 0u);
  };
  for (bool bound : {false, true}) {
    run_and_cancel(0, bound);
    EXPECT(whole > 20);
    // The last breath may come when the request has ended.
    for (u64 when = 1; when < std::min<u64>(whole, 60) - 12; when++) run_and_cancel(when, bound);
  }
}

TEST(engine_draft, the_token_path_allocates_nothing) {
  TestPlatform platform;
  platform.fixed_step_ns = 1000;
  auto engine = fake_engine(platform, {.prefill_chunk = 7}, kSlow);
  REQUIRE(engine.has_value());
  REQUIRE(give_draft(platform, **engine, {.habit = 9}).has_value());
  FakeSink sinks[5];
  std::vector<TokenId> prompt = counted(20);
  for (u32 i = 0; i < 5; i++) {
    ai::Request r{.prompt = prompt,
                  .sampling = {.temperature_milli = i % 2 == 0 ? 0 : 900, .seed = i},
                  .max_tokens = 60,
                  .cache_prompt = i != 3};
    REQUIRE((*engine)->submit(r, sinks[i]).has_value());
    sinks[i].ids.reserve(100), sinks[i].hashes.reserve(100), sinks[i].logprobs.reserve(100);
    sinks[i].text.reserve(1000);
  }
  fake_steps.reserve(10000);
  u64 before = host::allocation_count();
  run(**engine);
  EXPECT_EQ(host::allocation_count(), before);
  u32 accepted = 0;
  for (const FakeSink& s : sinks) accepted += s.timings.model_accepted_tokens;
  EXPECT(accepted > 50);
}

TEST(engine_draft, one_that_breaks_is_left_out) {
  TestPlatform platform;
  platform.fixed_step_ns = 1000;
  auto engine = fake_engine(platform, {}, kSlow);
  REQUIRE(engine.has_value());
  std::vector<TokenId> prompt = counted(20);
  REQUIRE(give_draft(platform, **engine, {.poison = prompt[3]}).has_value());
  FakeSink sink;
  ask(**engine, {.prompt = prompt, .max_tokens = 40}, sink);
  EXPECT(sink.reason == FinishReason::kLength && sink.ids.size() == 40);
  EXPECT_EQ(sink.timings.model_drafted_tokens, 0u);
  EXPECT((*engine)->draft()->broken());
  EXPECT(platform.logged("the draft model is not used any more"));
}

// Every table of kernels, on real pages: the model itself guesses, and one with other weights.
TEST(engine_draft, every_kernel_table_gives_the_same_text) {
  std::vector<std::string> names = {"reference"};
  for (const ai::KernelTable* table : ai::arch_kernel_tables())
    if (TestPlatform().features.has_all(table->needs)) names.emplace_back(table->name);
  TinyAnswers wanted;
  REQUIRE(serve_tiny("llama", nullptr, "reference", wanted));
  for (const std::string& kernels : names)
    for (const char* draft : {"llama", "llama-yarn", "gemma3"}) {
      TinyAnswers answers;
      REQUIRE(serve_tiny("llama", draft, kernels.c_str(), answers));
      for (u32 i = 0; i < 3; i++) {
        EXPECT(answers.sinks[i].ids == wanted.sinks[i].ids);
        EXPECT(answers.sinks[i].hashes == wanted.sinks[i].hashes);
        EXPECT(answers.sinks[i].text == wanted.sinks[i].text);
      }
    }
}

TEST(engine_draft, refusals_say_why) {
  auto add = [&](const char* family, const char* draft, ai::EngineOptions options) {
    TestPlatform platform;
    std::vector<Byte> bytes = model_bytes(family), other;
    bool other_tokens = draft == std::string_view("other tokens");
    other = model_bytes(other_tokens ? "llama" : draft);
    if (other_tokens) respell_a_token(other);
    auto engine = ai::Engine::load(bytes, platform, {.context = 64});
    std::span<Byte> file = other;
    Result<void> added = (*engine)->add_draft({&file, 1}, options);
    EXPECT_EQ(added.has_value(), (*engine)->plan().draft_bytes > 0);
    FakeSink sink;
    std::vector<TokenId> prompt = counted(5);
    EXPECT((*engine)->submit({.prompt = prompt, .max_tokens = 5}, sink).has_value());
    while ((*engine)->step()) {
    }
    EXPECT(sink.ended && sink.reason != FinishReason::kError);
    return std::string(added.has_value() ? "" : added.error().what);
  };
  EXPECT_EQ(add("llama", "llama-tied", {}), std::string());
  EXPECT_EQ(add("llama", "other tokens", {}),
            std::string("its vocabulary is not the model's: choose a draft model of the same "
                        "family"));
  EXPECT(add("llama", "mamba", {}).starts_with("it is an encoder or recurrent"));
  EXPECT(add("mamba", "llama", {}).starts_with("the model is an encoder or recurrent"));
  EXPECT(add("llama", "llama", {.memory_bytes = 10'000}).starts_with("it does not fit"));
}

TEST(engine_draft, memory_may_run_out_at_any_allocation_of_adding_one) {
  std::vector<Byte> original = model_bytes("llama");
  TestPlatform platform;
  std::vector<TokenId> prompt = counted(10);
  for (u64 n = 1;; n++) {
    REQUIRE(n < 3000);
    std::vector<Byte> bytes = original, other = original;
    auto engine = ai::Engine::load(bytes, platform, {.context = 32, .max_requests = 2});
    REQUIRE(engine.has_value());
    i64 live = host::live_allocations();
    u64 pages = platform.live_page_bytes();
    std::span<Byte> file = other;
    host::fail_allocation(n);
    Result<void> added = (*engine)->add_draft({&file, 1}, {});
    host::fail_allocation(0);
    if (added.has_value()) {
      EXPECT(n > 40);
      break;
    }
    EXPECT(added.error().code == Errc::kOutOfMemory);
    EXPECT_EQ(host::live_allocations(), live);
    EXPECT_EQ(platform.live_page_bytes(), pages);
    platform.log_text.clear();
    if (n % 16 != 1) continue;
    FakeSink sink;
    REQUIRE((*engine)->submit({.prompt = prompt, .max_tokens = 3}, sink).has_value());
    while ((*engine)->step()) {
    }
    EXPECT(sink.ended && sink.reason != FinishReason::kError);
  }
}
