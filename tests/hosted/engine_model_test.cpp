// SPDX-License-Identifier: GPL-2.0-or-later
// The engine with a real model, where it is at hand.
#include <string>
#include <vector>

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
