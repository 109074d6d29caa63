// SPDX-License-Identifier: GPL-2.0-or-later
// Encoders: their hidden states against those that tests/oracles/tiny_encoders.py computes in
// double precision, pairs of texts, and what they refuse.
#include <cmath>
#include <cstring>

#include "ai/engine/engine.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/fake_model.h"
#include "tests/hosted/test_model_runner.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

using ai::Pooling, ai::TokenId;

bool make_encoder(const std::string& name, TinyModel& out) {
  return make_tiny_model("../encoders/" + name, out);
}

// The kind of pooling is one number of the header.
void make_reranker(TinyModel& tiny, const std::string& name) {
  std::string pooling = name + ".pooling_type";
  change_header(
      tiny, [&](std::string_view key) { return key != pooling; },
      [&](ai::GgufWriter& out) { return out.add_u32(pooling, 4); });
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = 0;
  for (usize i = 0; i < a.size(); i++) largest = std::fmax(largest, std::fabs(a[i] - b[i]));
  return largest;
}

Result<base::Owner<ai::Engine>> load(TinyModel& tiny, TestPlatform& platform,
                                     const char* kernels = "auto") {
  give_tokenizer(tiny, false);
  ai::EngineOptions options;
  options.context = 64;
  options.max_requests = 2;
  options.kernels = kernels;
  return ai::Engine::load(tiny.file, platform, options);
}

class Unscored final : public ai::ScoreSink {
 public:
  bool on_score(const ai::TokenScore&) override { return true; }
};

}  // namespace

TEST(engine_encoder, hidden_states_are_those_of_the_reference) {
  for (const char* name : {"bert", "nomic-bert", "jina-bert-v2", "jina-bert-v2-code"}) {
    TinyModel tiny;
    REQUIRE(make_encoder(name, tiny));
    std::vector<float> reference;
    for (const char* kernels : {"reference", "auto"})
      for (u32 workers : {1u, 3u}) {
        TestPlatform platform(workers);
        auto runner =
            ModelRunner::load(tiny.file, platform, {.kernels = kernels, .context = 64, .rows = 32});
        REQUIRE(runner.has_value());
        auto got = (*runner)->hidden(tiny.tokens);
        REQUIRE(got.has_value());
        REQUIRE(got->size() == tiny.logits.size());
        // The cache keeps keys and values in 16 bits.
        double far = largest_difference(*got, tiny.logits);
        if (!(far < 4e-3)) test.report(__FILE__, __LINE__, name + std::to_string(far));
        if (reference.empty()) reference = *got;
        EXPECT(std::memcmp(reference.data(), got->data(), got->size() * sizeof(float)) == 0);
      }
  }
}

TEST(engine_encoder, every_token_sees_the_whole_text) {
  TinyModel tiny;
  REQUIRE(make_encoder("nomic-bert", tiny));
  TestPlatform platform;
  auto engine = load(tiny, platform);
  REQUIRE(engine.has_value());
  EXPECT((*engine)->info().encodes);
  std::vector<TokenId> text = tiny.tokens, other = text;
  other.back() ^= 1;
  std::vector<float> first(64), changed(64), again(64);
  REQUIRE((*engine)->embed(text, Pooling::kFirst, first, nullptr).has_value());
  REQUIRE((*engine)->embed(other, Pooling::kFirst, changed, nullptr).has_value());
  REQUIRE((*engine)->embed(text, Pooling::kFirst, again, nullptr).has_value());
  EXPECT(first != changed);
  EXPECT(first == again);
  // A whole context is read in one step; a longer text is not read at all.
  std::vector<TokenId> longest(64, 5), longer(65, 5);
  EXPECT((*engine)->embed(longest, Pooling::kMean, again, nullptr).has_value());
  EXPECT((*engine)->embed(longer, Pooling::kMean, again, nullptr).error().code ==
         Errc::kContextFull);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
}

// The scores that tiny_encoders.py prints: of the tokens as two texts, and as one. jina's head is
// one row.
TEST(engine_encoder, a_pair_has_the_score_of_the_reference) {
  struct Row {
    const char* name;
    float two, one;
  };
  for (const Row& row :
       {Row{"bert", 0.709694f, 0.191029f}, Row{"jina-bert-v2", -0.276520f, -0.555119f}})
    for (const char* kernels : {"reference", "auto"}) {
      TinyModel tiny;
      REQUIRE(make_encoder(row.name, tiny));
      make_reranker(tiny, row.name);
      TestPlatform platform;
      auto engine = load(tiny, platform, kernels);
      REQUIRE(engine.has_value());
      auto two = (*engine)->rank(tiny.tokens, 8, nullptr);
      auto one = (*engine)->rank(tiny.tokens, 16, nullptr);
      REQUIRE(two.has_value() && one.has_value());
      EXPECT(std::fabs(two->raw - row.two) < 2e-3f);
      EXPECT(std::fabs(one->raw - row.one) < 2e-3f);
      EXPECT(std::fabs(two->share - 1 / (1 + std::exp(-two->raw))) < 1e-6f);
      std::vector<float> vector(64);
      EXPECT((*engine)->embed(tiny.tokens, Pooling::kMean, vector, nullptr).error().code ==
             Errc::kUnsupported);
    }
}

TEST(engine_encoder, writes_and_scores_no_text) {
  TinyModel tiny;
  REQUIRE(make_encoder("bert", tiny));
  TestPlatform platform;
  auto engine = load(tiny, platform);
  REQUIRE(engine.has_value());
  FakeSink sink;
  ai::Request request;
  request.prompt = tiny.tokens;
  EXPECT((*engine)->submit(request, sink).error().code == Errc::kUnsupported);
  Unscored scores;
  EXPECT((*engine)->score(tiny.tokens, 1, scores).error().code == Errc::kUnsupported);
  EXPECT((*engine)->rank(tiny.tokens, 8, nullptr).error().code == Errc::kUnsupported);
  EXPECT(!(*engine)->step());
}

TEST(engine_encoder, a_file_that_lies_is_refused) {
  const struct {
    const char *name, *key, *says;
    Result<void> (*add)(ai::GgufWriter& out);
  } kLies[] = {
      {"bert", "bert.attention.causal", "expected false",
       [](ai::GgufWriter& out) { return out.add_bool("bert.attention.causal", true); }},
      {"bert", "bert.context_length", "position_embd.weight",
       [](ai::GgufWriter& out) { return out.add_u32("bert.context_length", 128); }},
      {"bert", "bert.pooling_type", "expected 0 to 4",
       [](ai::GgufWriter& out) { return out.add_u32("bert.pooling_type", 5); }},
      {"jina-bert-v2", "jina-bert-v2.attention.max_alibi_bias", "expected a positive number",
       [](ai::GgufWriter& out) { return out.add_f32("jina-bert-v2.attention.max_alibi_bias", 0); }},
      {"jina-bert-v2-code", "jina-bert-v2.attention.head_count", "attn_q.weight",
       [](ai::GgufWriter& out) { return out.add_u32("jina-bert-v2.attention.head_count", 4); }},
  };
  for (const auto& lie : kLies) {
    TinyModel tiny;
    REQUIRE(make_encoder(lie.name, tiny));
    change_header(
        tiny, [&](std::string_view key) { return key != lie.key; },
        [&](ai::GgufWriter& out) { return lie.add(out); });
    TestPlatform platform;
    EXPECT(!load(tiny, platform).has_value());
    if (platform.log_text.find(lie.says) == platform.log_text.npos)
      test.report(__FILE__, __LINE__, platform.log_text);
  }
}
