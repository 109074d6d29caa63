// SPDX-License-Identifier: GPL-2.0-or-later
// The whole engine on small real files: memory that runs out at any moment, steps that nobody waits
// for any more, saved texts of real pages.
#include "ai/engine/kv_file.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/fake_model.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

using ai::TokenId;

std::vector<Byte> model_bytes(const char* family, bool merges = false) {
  TinyModel tiny;
  if (!make_tiny_model(family, tiny)) return {};
  give_tokenizer(tiny, merges);
  return std::move(tiny.file);
}

std::vector<TokenId> counted(u32 n) {
  std::vector<TokenId> tokens;
  tokens.reserve(n);
  for (u32 i = 0; i < n; i++) tokens.push_back(3 + i * 5 % 50);
  return tokens;
}

}  // namespace

TEST(engine_tiny, memory_may_run_out_at_any_allocation_of_loading) {
  for (const char* family : {"llama", "mamba", "qwen2moe", "quant-q4_k", "../encoders/bert"})
    for (bool merges : {false, true}) {
      std::vector<Byte> original = model_bytes(family, merges);
      REQUIRE(!original.empty());
      TestPlatform platform;
      i64 live = host::live_allocations();
      u64 n = 1;
      for (;; n++) {
        REQUIRE(n < 5000);
        std::vector<Byte> bytes = original;
        i64 before = host::live_allocations();
        host::fail_allocation(n);
        auto engine = ai::Engine::load(bytes, platform, {.context = 32, .max_requests = 2});
        host::fail_allocation(0);
        if (engine.has_value()) break;
        if (engine.error().code != Errc::kOutOfMemory)
          test.report(__FILE__, __LINE__, engine.error().what);
        EXPECT_EQ(host::live_allocations(), before);
        EXPECT_EQ(platform.live_page_bytes(), 0u);
        platform.log_text.clear();
      }
      EXPECT(n > 40);
      EXPECT_EQ(host::live_allocations(), live);
    }
}

TEST(engine_tiny, memory_may_run_out_at_any_allocation_of_a_request) {
  std::vector<Byte> bytes = model_bytes("llama");
  REQUIRE(!bytes.empty());
  TestPlatform platform;
  auto engine = ai::Engine::load(bytes, platform, {.context = 64});
  REQUIRE(engine.has_value());
  auto trie = ai::TokenTrie::build((*engine)->tokenizer());
  REQUIRE(trie.has_value());
  String problem;
  base::StringWriter writer(problem);
  auto grammar = ai::Grammar::from_gbnf("root ::= [a-z ]+", **trie, writer);
  REQUIRE(grammar.has_value());
  std::vector<TokenId> prompt = counted(10);
  const std::string_view stop[] = {"zzzz"};
  const ai::LogitBias bias[] = {{5, 100}};
  FakeSink sink;
  sink.ids.reserve(50), sink.hashes.reserve(50), sink.logprobs.reserve(50), sink.text.reserve(500);
  ai::Request request{.prompt = prompt,
                      .sampling = {.temperature_milli = 800, .seed = 3},
                      .bias = bias,
                      .max_tokens = 20,
                      .stop = stop,
                      .ignore_end = true,
                      .logprobs = 3,
                      .grammar = grammar->get()};
  i64 live = host::live_allocations();
  for (u64 n = 1;; n++) {
    REQUIRE(n < 100);
    host::fail_allocation(n);
    auto id = (*engine)->submit(request, sink);
    host::fail_allocation(0);
    if (id.has_value()) {
      EXPECT(n > 8);
      break;
    }
    EXPECT(id.error().code == Errc::kOutOfMemory);
    EXPECT_EQ(host::live_allocations(), live);
  }
  u64 before = host::allocation_count();
  while ((*engine)->step()) {
  }
  EXPECT_EQ(host::allocation_count(), before);
  EXPECT(sink.ended && !sink.ids.empty());
  EXPECT_EQ(host::live_allocations(), live);
}

TEST(engine_tiny, a_step_nobody_waits_for_ends_behind_its_layer) {
  constexpr u64 kLayers = 3;
  std::vector<Byte> bytes = model_bytes("llama");
  REQUIRE(!bytes.empty());
  TestPlatform platform;
  auto engine = ai::Engine::load(bytes, platform, {.context = 64});
  REQUIRE(engine.has_value());
  std::vector<TokenId> prompt = counted(50), other = counted(20);
  u64 whole_step = 0;  // what it breathes
  for (bool company : {true, false}) {
    FakeSink sink, beside, again;
    ai::RequestId id = (*engine)->submit({.prompt = prompt, .max_tokens = 3}, sink).value();
    if (company)
      REQUIRE((*engine)
                  ->submit({.prompt = {other.data() + 7, 9}, .max_tokens = 3}, beside)
                  .has_value());
    platform.breaths = 0;
    platform.on_breathe = [&] {
      if (platform.breaths == 1) (*engine)->cancel(id);
    };
    (*engine)->step();
    platform.on_breathe = nullptr;
    EXPECT(sink.reason == ai::FinishReason::kCancelled);
    if (company) whole_step = platform.breaths;
    EXPECT(company ? whole_step >= kLayers : platform.breaths <= whole_step / kLayers);
    while ((*engine)->step()) {
    }
    EXPECT_EQ(beside.ended, company);
    if (company) EXPECT(beside.reason != ai::FinishReason::kError);
    EXPECT_EQ((*engine)->kv_pages_used(), 0u);
    // A prompt that was only half computed is not taken for a computed one.
    FakeSink fresh;
    ai::Request request{.prompt = prompt, .max_tokens = 5, .ignore_end = true, .hash_logits = true};
    REQUIRE((*engine)->submit(request, again).has_value());
    while ((*engine)->step()) {
    }
    EXPECT_EQ(again.timings.cached_tokens, 0u);
    (*engine)->forget_prompts();
    REQUIRE((*engine)->submit(request, fresh).has_value());
    while ((*engine)->step()) {
    }
    EXPECT(fresh.hashes == again.hashes && fresh.ids == again.ids);
    (*engine)->forget_prompts();
  }
}

TEST(engine_tiny, saved_pages_give_the_same_logits) {
  struct Saved final : ai::ByteSink, ai::ByteSource {
    Result<void> write(std::span<const Byte> part) override {
      bytes.insert(bytes.end(), part.begin(), part.end());
      return {};
    }
    Result<void> read(std::span<Byte> out) override {
      if (out.size() > bytes.size() - at) return fail(Errc::kCorrupt, "cut short");
      std::copy_n(bytes.begin() + static_cast<i64>(at), out.size(), out.begin());
      at += out.size();
      return {};
    }
    std::vector<Byte> bytes;
    usize at = 0;
  };
  for (const char* family : {"llama", "gemma3", "deepseek2-mla"})
    for (ai::KvType kv : {ai::KvType::kF16, ai::KvType::kQ8, ai::KvType::kQ8Q4}) {
      std::vector<TokenId> prompt = counted(45);
      FakeSink first, second;
      Saved file;
      for (FakeSink* sink : {&first, &second}) {
        std::vector<Byte> bytes = model_bytes(family);
        REQUIRE(!bytes.empty());
        TestPlatform platform;
        auto engine = ai::Engine::load(bytes, platform, {.context = 64, .kv_type = kv});
        REQUIRE(engine.has_value());
        if (sink == &second) {
          auto tokens = (*engine)->restore(file);
          REQUIRE(tokens.has_value());
          EXPECT(std::ranges::equal(tokens->view(), prompt));
        }
        ai::Request request{
            .prompt = prompt, .max_tokens = 6, .ignore_end = true, .hash_logits = true};
        REQUIRE((*engine)->submit(request, *sink).has_value());
        while ((*engine)->step()) {
        }
        if (sink == &first) EXPECT_EQ((*engine)->save(prompt, file).value_or(0), 32u);
      }
      EXPECT_EQ(second.timings.cached_tokens, 32u);
      EXPECT(first.ids == second.ids && first.hashes == second.hashes);
    }
  // Another model, or the same with another cache, does not take it.
  Saved file;
  std::vector<TokenId> prompt = counted(40);
  for (int i = 0; i < 3; i++) {
    std::vector<Byte> bytes = model_bytes(i == 1 ? "llama-tied" : "llama");
    TestPlatform platform;
    ai::EngineOptions options{.context = 64,
                              .kv_type = i == 2 ? ai::KvType::kQ8 : ai::KvType::kF16};
    auto engine = ai::Engine::load(bytes, platform, options);
    REQUIRE(engine.has_value());
    if (i == 0) {
      EXPECT((*engine)->save(prompt, file).has_value());
      continue;
    }
    file.at = 0;
    auto refused = (*engine)->restore(file);
    REQUIRE(!refused.has_value());
    EXPECT(refused.error().code == Errc::kUnsupported);
    if (i == 2)
      EXPECT_EQ(std::string_view(refused.error().what), ai::kv_type_info(ai::KvType::kF16).refusal);
  }
}
