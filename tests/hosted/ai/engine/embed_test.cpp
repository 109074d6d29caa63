// SPDX-License-Identifier: GPL-2.0-or-later
// Embeddings: the same vector however the text is cut, nothing left behind, errors that say why.
#include <cmath>
#include <numeric>

#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/ask.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

using ai::Pooling, ai::TokenId;
constexpr Pooling kWays[] = {Pooling::kMean, Pooling::kFirst, Pooling::kLast};

double dot(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

TEST(engine_embed, however_the_text_is_cut) {
  std::vector<TokenId> text = counted(70);
  for (bool recurrent : {false, true})
    for (Pooling way : kWays) {
      std::vector<float> first;
      for (u32 chunk : {1u, 7u, 256u}) {
        TestPlatform platform;
        auto engine = fake_engine(platform, {.max_requests = 1, .prefill_chunk = chunk},
                                  {.recurrent = recurrent});
        REQUIRE(engine.has_value());
        std::vector<float> out(kFakeWidth);
        REQUIRE((*engine)->embed(text, way, out, nullptr).has_value());
        EXPECT(std::abs(dot(out, out) - 1) < 1e-6);
        if (!first.empty()) EXPECT(out == first);
        first = out;
        EXPECT_EQ((*engine)->kv_pages_used(), 0u);
        EXPECT((*engine)->consistent());
      }
    }
}

TEST(engine_embed, each_pooling_takes_the_tokens_it_names) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {});
  REQUIRE(engine.has_value());
  std::vector<TokenId> text = counted(9), begin(text.begin(), text.begin() + 1), other = text;
  other.back()++;
  std::vector<float> mean(kFakeWidth), first = mean, last = mean, alone = mean, changed = mean;
  REQUIRE((*engine)->embed(text, Pooling::kMean, mean, nullptr).has_value());
  REQUIRE((*engine)->embed(text, Pooling::kFirst, first, nullptr).has_value());
  REQUIRE((*engine)->embed(text, Pooling::kLast, last, nullptr).has_value());
  REQUIRE((*engine)->embed(begin, Pooling::kMean, alone, nullptr).has_value());
  EXPECT(first == alone);
  EXPECT(mean != first && mean != last && first != last);
  REQUIRE((*engine)->embed(other, Pooling::kFirst, changed, nullptr).has_value());
  EXPECT(first == changed);
  REQUIRE((*engine)->embed(other, Pooling::kLast, changed, nullptr).has_value());
  EXPECT(last != changed);
}

TEST(engine_embed, errors_say_why_and_leave_nothing) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {.context = 32}, {.poison = 63});
  REQUIRE(engine.has_value());
  std::vector<float> out(kFakeWidth), narrow(kFakeWidth - 1);
  std::vector<TokenId> text = counted(10), longest = counted(32), beyond = counted(33);
  std::vector<TokenId> unknown = {kFakeVocabulary}, poisoned = {9, 63, 9}, none;
  auto code = [&](std::span<const TokenId> tokens, std::span<float> into) {
    auto done = (*engine)->embed(tokens, Pooling::kMean, into, nullptr);
    return done.has_value() ? Errc{} : done.error().code;
  };
  EXPECT(code(none, out) == Errc::kInvalidArgument);
  EXPECT(code(unknown, out) == Errc::kInvalidArgument);
  EXPECT(code(text, narrow) == Errc::kInvalidArgument);
  EXPECT(code(beyond, out) == Errc::kContextFull);
  EXPECT(code(poisoned, out) == Errc::kCorrupt);
  EXPECT((*engine)->embed(longest, Pooling::kMean, out, nullptr).has_value());
  // Beside a running request it takes what pages are free, and disturbs nobody.
  FakeSink alone, beside;
  ai::Request request{.prompt = text, .max_tokens = 15, .hash_logits = true};
  REQUIRE((*engine)->submit(request, alone).has_value());
  run(**engine);
  REQUIRE((*engine)->submit(request, beside).has_value());
  do {
    EXPECT((*engine)->embed(text, Pooling::kLast, out, nullptr).has_value());
  } while ((*engine)->step());
  EXPECT(alone.ids == beside.ids && alone.hashes == beside.hashes);
  Errc busy{};
  beside.hook = nullptr;
  FakeSink nested;
  nested.hook = [&](u32) { busy = code(text, out); };
  REQUIRE((*engine)->submit(request, nested).has_value());
  run(**engine);
  EXPECT(busy == Errc::kBusy);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
}

TEST(engine_embed, ends_after_a_chunk_that_nobody_waits_for) {
  struct Stop final : ai::EmbedSink {
    bool on_read(u32 done, u32 total) override {
      read = done;
      return done < limit || done == total;
    }
    u32 limit = ~0u, read = 0;
  };
  TestPlatform platform;
  auto engine = fake_engine(platform, {.max_requests = 1, .prefill_chunk = 8});
  REQUIRE(engine.has_value());
  std::vector<TokenId> text = counted(70);
  std::vector<float> out(kFakeWidth);
  Stop stop, patient;
  stop.limit = 20;
  auto done = (*engine)->embed(text, Pooling::kMean, out, &stop);
  EXPECT(!done.has_value() && done.error().code == Errc::kCancelled);
  EXPECT(stop.read >= 20 && stop.read < 70);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
  EXPECT((*engine)->consistent());
  EXPECT((*engine)->embed(text, Pooling::kMean, out, &patient).has_value());
  EXPECT_EQ(patient.read, 70u);
}

TEST(engine_embed, out_of_memory_is_an_error) {
  TestPlatform platform;
  for (bool recurrent : {false, true}) {
    auto engine = fake_engine(platform, {}, {.recurrent = recurrent});
    REQUIRE(engine.has_value());
    std::vector<TokenId> text = counted(20);
    std::vector<float> out(kFakeWidth);
    i64 live = host::live_allocations();
    u64 failures = 0;
    for (u64 n = 1; n < 20; n++) {
      host::fail_allocation(n);
      auto done = (*engine)->embed(text, Pooling::kMean, out, nullptr);
      host::fail_allocation(0);
      if (done.has_value()) break;
      EXPECT(done.error().code == Errc::kOutOfMemory);
      EXPECT_EQ(host::live_allocations(), live);
      failures++;
    }
    EXPECT_EQ(failures, recurrent ? 2u : 1u);
    EXPECT_EQ(host::live_allocations(), live);
  }
}

// Every family: the same bits on every kernel table, by one worker or two, in chunks or not.
TEST(engine_embed, every_family_on_every_table) {
  u32 families = 0;
  for (const std::string& name : tiny_model_names()) {
    if (name.starts_with("quant-")) continue;
    families++;
    std::vector<float> wanted;
    for (const char* kernels : {"reference", "auto"}) {
      bool other = kernels[0] == 'a';
      TinyModel tiny;
      REQUIRE(make_tiny_model(name, tiny));
      give_tokenizer(tiny, other);
      TestPlatform platform(other ? 2 : 1);
      auto engine =
          ai::Engine::load(tiny.file, platform,
                           {.context = 64, .prefill_chunk = other ? 7u : 256u, .kernels = kernels});
      REQUIRE(engine.has_value());
      std::vector<TokenId> text;
      text.reserve(24);
      for (u32 i = 0; i < 24; i++) text.push_back((i * 7 + tiny.tokens[i % 4]) % tiny.vocabulary);
      std::vector<float> out((*engine)->info().width);
      REQUIRE((*engine)->embed(text, Pooling::kMean, out, nullptr).has_value());
      EXPECT(std::abs(dot(out, out) - 1) < 1e-5);
      if (!wanted.empty()) EXPECT(out == wanted);
      wanted = out;
    }
  }
  EXPECT(families > 25);
}
