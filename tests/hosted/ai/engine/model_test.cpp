// SPDX-License-Identifier: GPL-2.0-or-later
// The engine with a real model, where it is at hand.
#include <string>
#include <vector>

#include "arch/host/memory.h"
#include "kernel/base/json.h"
#include "kernel/base/test.h"
#include "tests/hosted/fake_model.h"
#include "tests/hosted/test_files.h"

namespace {

std::vector<ai::TokenId> ids_of(json::Value list) {
  std::vector<ai::TokenId> ids;
  for (json::Value v : list.elements())
    ids.push_back(static_cast<ai::TokenId>(v.integer().value_or(0)));
  return ids;
}

// Tokens that must agree: up to the first place where the oracle's best two are nearly equal.
usize certain(json::Value gaps) {
  usize n = 0;
  for (json::Value v : gaps.elements()) {
    if (v.scaled(3).value_or(0) < 500) break;
    n++;
  }
  return n;
}

}  // namespace

namespace {

struct Way {
  const char* what;
  ai::EngineOptions options;
  u32 workers;
  bool together;
};

// Serves the prompts; every sink has tokens, text and hashes afterwards.
bool serve(const std::string& file, const Way& way, std::vector<std::vector<ai::TokenId>>& prompts,
           std::vector<FakeSink>& sinks) {
  std::string bytes = file;  // loading rewrites it
  TestPlatform platform(way.workers);
  auto engine = ai::Engine::load({reinterpret_cast<Byte*>(bytes.data()), bytes.size()}, platform,
                                 way.options);
  if (!engine.has_value()) return false;
  for (usize i = 0; i < prompts.size(); i++) {
    ai::Request request{.prompt = prompts[i],
                        .sampling = {.temperature_milli = i % 2 == 0 ? 0 : 800, .seed = i},
                        .max_tokens = 12,
                        .ignore_end = true,
                        .hash_logits = true};
    if (!(*engine)->submit(request, sinks[i]).has_value()) return false;
    while (!way.together && (*engine)->step()) {
    }
  }
  while ((*engine)->step()) {
  }
  return (*engine)->kv_pages_used() == 0;
}

}  // namespace

TEST(engine_model, stories_come_out_the_same_however_they_are_served) {
  std::string path = model_path("stories260K-F32.gguf"), file;
  if (path.empty() || !read_file(path, file)) return test.skip("stories260K is not here");
  std::vector<std::vector<ai::TokenId>> prompts(3);
  for (u32 i = 0; i < prompts.size(); i++) {
    prompts[i].push_back(1);
    for (u32 n = 0; n < 5 + 31 * i; n++) prompts[i].push_back(260 + (n * 7 + i / 2) % 200);
  }
  constexpr u64 kLargerPage = 43520;  // q8, 5 layers of 4 heads of 8: more than f16 takes
  const Way ways[] = {
      {"alone", {.prefill_chunk = 8192, .kernels = "reference", .speculate = false}, 1, false},
      {"together", {.speculate = false}, 1, true},
      {"by two workers", {.speculate = false}, 2, true},
      {"in chunks of 7", {.prefill_chunk = 7, .speculate = false}, 1, true},
      {"with guesses", {}, 1, false},
      {"with guesses, together", {.prefill_chunk = 33}, 2, true},
      {"in a small pool", {.context = 96, .kv_bytes = 3 * kLargerPage}, 1, true},
  };
  for (ai::KvType kv : {ai::KvType::kF16, ai::KvType::kQ8, ai::KvType::kQ8Q4, ai::KvType::kQ4}) {
    std::vector<FakeSink> wanted;
    for (Way way : ways) {
      way.options.kv_type = kv;
      if (kv != ai::KvType::kF16 && !way.together) continue;
      std::vector<FakeSink> sinks(prompts.size());
      bool served = serve(file, way, prompts, sinks);
      if (!served) test.report(__FILE__, __LINE__, way.what);
      REQUIRE(served);
      for (usize i = 0; i < prompts.size() && !wanted.empty(); i++)
        if (sinks[i].ids != wanted[i].ids || sinks[i].hashes != wanted[i].hashes ||
            sinks[i].text != wanted[i].text)
          test.report(__FILE__, __LINE__, way.what);
      if (wanted.empty()) wanted = std::move(sinks);
    }
    EXPECT(wanted[0].ids.size() == 12 && !wanted[0].text.empty());
  }
}

// As llama2.c tells it: from the beginning of a text, greedily, 200 tokens.
TEST(engine_model, a_checkpoint_of_llama2c_tells_the_published_story) {
  std::string golden, checkpoint, tokenizer;
  if (!read_file(shared_path("goldens/stories260K.greedy200.txt"), golden) ||
      !read_file(shared_path("stories260K/stories260K.bin"), checkpoint) ||
      !read_file(shared_path("stories260K/tok512.bin"), tokenizer))
    return test.skip("shared data are not here");
  while (golden.ends_with('\n')) golden.pop_back();
  for (bool together : {false, true}) {
    std::string first = together ? checkpoint + tokenizer : checkpoint, second = tokenizer;
    std::span<Byte> files[] = {{reinterpret_cast<Byte*>(first.data()), first.size()},
                               {reinterpret_cast<Byte*>(second.data()), second.size()}};
    std::span<const std::span<Byte>> parts(files, together ? 1 : 2);
    TestPlatform platform(1);
    REQUIRE(ai::Engine::plan_load(parts, platform, {}).has_value());
    auto engine = ai::Engine::load(parts, platform, {});
    REQUIRE(engine.has_value());
    const ai::TokenId begin = (*engine)->tokenizer().bos();
    FakeSink sink;
    ai::Request request{.prompt = {&begin, 1}, .max_tokens = 200, .ignore_end = true};
    REQUIRE((*engine)->submit(request, sink).has_value());
    while ((*engine)->step()) {
    }
    std::string told = sink.text.substr(sink.text.starts_with(' ') ? 1 : 0);
    EXPECT(told == golden);
    if (told != golden) test.report(__FILE__, __LINE__, told);
  }
}

TEST(engine_model, loading_takes_what_was_planned) {
  for (const char* name : {"stories260K-F32.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf"}) {
    std::string path = model_path(name), bytes;
    if (path.empty() || !read_file(path, bytes)) return test.skip("the models are not here");
    std::span<Byte> file(reinterpret_cast<Byte*>(bytes.data()), bytes.size());
    TestPlatform platform(2);
    const ai::EngineOptions options{.context = 256};
    auto plan = ai::Engine::plan_load({&file, 1}, platform, options);
    REQUIRE(plan.has_value());
    EXPECT_EQ(platform.live_page_bytes(), 0u);
    u64 before = host::live_bytes();
    auto engine = ai::Engine::load(file, platform, options);
    REQUIRE(engine.has_value());
    u64 taken = host::live_bytes() - before + platform.live_page_bytes();
    u64 planned = plan->total() - plan->weights_bytes;
    u64 apart = taken > planned ? taken - planned : planned - taken;
    EXPECT(apart * 1000 <= plan->total() || apart < 32 * kKiB);
    EXPECT((*engine)->plan().total() == plan->total());
  }
}

TEST(engine_model, smollm2_answers_as_llama_cpp_does) {
  std::string path = model_path("SmolLM2-135M-Instruct.Q4_1.gguf"), bytes, goldens;
  if (path.empty() || !read_file(path, bytes)) return test.skip("SmolLM2 is not here");
  if (!read_file(shared_path("goldens/smollm2-q4_1.greedy64.json"), goldens))
    return test.skip("the goldens are not here");
  TestPlatform platform(2);
  auto document = json::Document::parse(goldens);
  REQUIRE(document.has_value());
  auto engine = ai::Engine::load({reinterpret_cast<Byte*>(bytes.data()), bytes.size()}, platform,
                                 {.context = 512});
  REQUIRE(engine.has_value());
  std::vector<FakeSink> sinks(2);
  json::Value results = document->root().find("results");
  constexpr u32 kTokens = 5;
  for (u32 i = 0; i < sinks.size(); i++) {
    std::vector<ai::TokenId> prompt = ids_of(results.at(i).find("prompt_ids"));
    ai::Request request{.prompt = prompt, .max_tokens = kTokens, .ignore_end = true};
    REQUIRE((*engine)->submit(request, sinks[i]).has_value());
  }
  while ((*engine)->step()) {
  }
  for (u32 i = 0; i < sinks.size(); i++) {
    std::vector<ai::TokenId> wanted = ids_of(results.at(i).find("greedy_ids"));
    usize same = std::min<usize>(kTokens, certain(results.at(i).find("top1_minus_top2")));
    REQUIRE(sinks[i].ids.size() == kTokens);
    for (usize n = 0; n < same; n++) EXPECT_EQ(sinks[i].ids[n], wanted[n]);
  }
}
