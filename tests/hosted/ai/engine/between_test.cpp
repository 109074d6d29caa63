// SPDX-License-Identifier: GPL-2.0-or-later
// While a text is scored, embedded, saved or restored, other requests go on between its chunks, and
// the results keep their bits.
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/ask.h"

namespace {

using ai::FinishReason, ai::TokenId;

struct Scores final : ai::ScoreSink {
  bool on_score(const ai::TokenScore& score) override {
    all.push_back(score.logprob_micro);
    if (inside) inside();
    return true;
  }
  bool on_chunk(u32 done, u32 total) override {
    chunks++;
    if (between) between();
    return done < limit || done == total;
  }
  bool goes_on() const override { return stays; }
  std::vector<i32> all;
  bool stays = false;
  u32 chunks = 0, limit = ~0u;
  std::function<void()> inside, between;
};

struct Reader final : ai::EmbedSink {
  bool on_read(u32, u32) override {
    chunks++;
    if (between) between();
    return true;
  }
  u32 chunks = 0;
  std::function<void()> between;
};

// The bytes that were written, to be read again.
struct Kept final : ai::ByteSink, ai::ByteSource {
  Result<void> write(std::span<const Byte> some) override {
    if (between) between();
    bytes.insert(bytes.end(), some.begin(), some.end());
    return {};
  }
  Result<void> read(std::span<Byte> out) override {
    if (between) between();
    if (out.size() > bytes.size() - at) return fail(Errc::kCorrupt, "too short");
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
    at += out.size();
    return {};
  }
  std::vector<Byte> bytes;
  usize at = 0;
  std::function<void()> between;
};

constexpr ai::EngineOptions kSmallChunks{.max_requests = 3, .prefill_chunk = 8};

}  // namespace

TEST(engine_between, requests_begin_go_on_and_end_beside_a_long_text) {
  std::vector<TokenId> text = counted(90, 6), prompt = counted(12);
  for (bool recurrent : {false, true}) {
    TestPlatform platform;
    auto engine = fake_engine(platform, kSmallChunks, {.recurrent = recurrent});
    REQUIRE(engine.has_value());
    Scores alone, beside;
    Reader nobody, reader;
    std::vector<float> vector(kFakeWidth), same(kFakeWidth);
    FakeSink before, during;
    ai::Request request{.prompt = prompt, .max_tokens = 5, .hash_logits = true};
    REQUIRE((*engine)->submit(request, before).has_value());
    run(**engine);
    REQUIRE((*engine)->score(text, 1, alone).has_value());
    REQUIRE((*engine)->embed(text, ai::Pooling::kMean, vector, &nobody).has_value());

    beside.between = reader.between = [&] {
      if ((*engine)->running() + (*engine)->queued() == 0) {
        during = FakeSink();
        EXPECT((*engine)->submit(request, during).has_value());
      }
      EXPECT((*engine)->step());
      if (!during.ended) return;
      EXPECT(during.ids == before.ids && during.hashes == before.hashes);
    };
    REQUIRE((*engine)->score(text, 1, beside).has_value());
    EXPECT(during.events > 0);
    EXPECT(alone.all == beside.all);
    EXPECT(beside.chunks > 3);
    REQUIRE((*engine)->embed(text, ai::Pooling::kMean, same, &reader).has_value());
    EXPECT(vector == same);
    run(**engine);
    EXPECT_EQ((*engine)->kv_pages_used(), 0u);
    EXPECT_EQ((*engine)->state_slots_used(), 0u);
    EXPECT((*engine)->consistent());
  }
}

TEST(engine_between, another_text_may_be_read_there) {
  TestPlatform platform;
  auto engine = fake_engine(platform, kSmallChunks);
  REQUIRE(engine.has_value());
  std::vector<TokenId> text = counted(40, 6), other = counted(30, 9);
  std::vector<float> alone(kFakeWidth), nested(kFakeWidth), outer(kFakeWidth), wanted(kFakeWidth);
  REQUIRE((*engine)->embed(other, ai::Pooling::kLast, wanted, nullptr).has_value());
  REQUIRE((*engine)->embed(text, ai::Pooling::kMean, alone, nullptr).has_value());
  Reader reader;
  reader.between = [&] {
    EXPECT((*engine)->embed(other, ai::Pooling::kLast, nested, nullptr).has_value());
    EXPECT(nested == wanted);
  };
  REQUIRE((*engine)->embed(text, ai::Pooling::kMean, outer, &reader).has_value());
  EXPECT(outer == alone);
  EXPECT(reader.chunks > 1);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
}

// Inside a chunk the buffers are in use.
TEST(engine_between, inside_a_chunk_nothing_else_computes) {
  TestPlatform platform;
  auto engine = fake_engine(platform, kSmallChunks);
  REQUIRE(engine.has_value());
  std::vector<TokenId> text = counted(20, 6), prompt = counted(5);
  std::vector<float> vector(kFakeWidth);
  FakeSink sink;
  Scores scores, nested;
  u32 tried = 0;
  auto try_all = [&] {
    Kept file;
    tried++;
    EXPECT(!(*engine)->step());
    EXPECT((*engine)->score(prompt, 1, nested).error().code == Errc::kBusy);
    EXPECT((*engine)->embed(prompt, ai::Pooling::kMean, vector, nullptr).error().code ==
           Errc::kBusy);
    EXPECT((*engine)->save(prompt, file).error().code == Errc::kBusy);
    EXPECT((*engine)->restore(file).error().code == Errc::kBusy);
  };
  REQUIRE((*engine)->submit({.prompt = prompt, .max_tokens = 2}, sink).has_value());
  scores.inside = platform.on_breathe = try_all;
  REQUIRE((*engine)->score(text, 1, scores).has_value());
  scores.inside = nullptr;
  run(**engine);
  EXPECT(tried > 20);
  EXPECT(sink.reason == FinishReason::kLength);
}

TEST(engine_between, a_scored_text_stays_for_who_goes_on_from_it) {
  std::vector<TokenId> text = counted(42, 6);
  for (bool stays : {false, true})
    for (bool recurrent : {false, true}) {
      TestPlatform platform;
      auto engine = fake_engine(platform, kSmallChunks, {.recurrent = recurrent});
      auto other = fake_engine(platform, kSmallChunks, {.recurrent = recurrent});
      REQUIRE(engine.has_value() && other.has_value());
      Scores scores;
      scores.stays = stays;
      REQUIRE((*engine)->score(text, 1, scores).has_value());
      FakeSink after, alone;
      ask(**engine, {.prompt = text, .max_tokens = 5, .hash_logits = true}, after);
      ask(**other, {.prompt = text, .max_tokens = 5, .hash_logits = true}, alone);
      EXPECT_EQ(after.timings.cached_tokens >= 40, stays && !recurrent);
      EXPECT(after.ids == alone.ids && after.hashes == alone.hashes);
    }
}

TEST(engine_between, a_sink_that_has_enough_ends_the_scores) {
  TestPlatform platform;
  auto engine = fake_engine(platform, kSmallChunks);
  REQUIRE(engine.has_value());
  Scores scores;
  scores.limit = 20;
  REQUIRE((*engine)->score(counted(90), 1, scores).has_value());
  EXPECT(scores.all.size() >= 20 && scores.all.size() < 89);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
}

// 13 pages of four positions. The text holds ten of them: a request of 25 tokens waits for them and
// is no error, one of twelve is served at once.
TEST(engine_between, a_request_waits_for_pages_that_a_text_holds) {
  TestPlatform platform;
  ai::EngineOptions options = kSmallChunks;
  options.context = 48;
  options.kv_bytes = 13 * 32;
  auto engine = fake_engine(platform, options);
  REQUIRE(engine.has_value());
  std::vector<TokenId> text = counted(40, 6), large = counted(24), small = counted(6, 9);
  std::vector<float> vector(kFakeWidth);
  FakeSink first, growing;
  Reader reader;
  reader.between = [&] {
    if (reader.chunks == 1) {
      EXPECT((*engine)->submit({.prompt = small, .max_tokens = 20}, growing).has_value());
      EXPECT((*engine)->submit({.prompt = large, .max_tokens = 2}, first).has_value());
    }
    for (u32 i = 0; i < 20; i++) (*engine)->step();
    EXPECT(!growing.ended && !first.ended);
    EXPECT(!(*engine)->step());
    EXPECT_EQ((*engine)->queued(), 2u);
  };
  REQUIRE((*engine)->embed(text, ai::Pooling::kMean, vector, &reader).has_value());
  EXPECT(growing.events > 0);
  run(**engine);
  EXPECT(growing.reason == FinishReason::kLength);
  EXPECT(first.reason == FinishReason::kLength);
  // And a text that finds too few pages says so before it begins.
  FakeSink holder;
  REQUIRE((*engine)->submit({.prompt = large, .max_tokens = 20}, holder).has_value());
  for (u32 i = 0; i < 6; i++) (*engine)->step();
  reader = Reader();
  auto done = (*engine)->embed(text, ai::Pooling::kMean, vector, &reader);
  EXPECT(!done.has_value() && done.error().code == Errc::kFull);
  EXPECT_EQ(reader.chunks, 0u);
}

// A text is saved and restored while a request is served.
TEST(engine_between, requests_go_on_while_a_text_is_saved_and_restored) {
  Kept busy;
  TestPlatform platform;
  auto engine = fake_engine(platform, kSmallChunks);
  REQUIRE(engine.has_value());
  std::vector<TokenId> prompt = counted(40), other = counted(10, 9);
  FakeSink sink, during;
  u32 steps = 0;
  REQUIRE((*engine)->submit({.prompt = prompt, .max_tokens = 1}, sink).has_value());
  run(**engine);
  busy.between = [&] {
    if (steps == 0)
      EXPECT((*engine)->submit({.prompt = other, .max_tokens = 60}, during).has_value());
    steps += (*engine)->step();
  };
  EXPECT_EQ((*engine)->save(prompt, busy).value(), 40u);
  EXPECT(steps > 5);
  (*engine)->forget_prompts();
  u32 saving = steps;
  auto tokens = (*engine)->restore(busy);
  REQUIRE(tokens.has_value());
  EXPECT(std::ranges::equal(*tokens, prompt));
  EXPECT(steps > saving);
  run(**engine);
  EXPECT(during.reason == FinishReason::kLength);
  FakeSink again;
  REQUIRE((*engine)->submit({.prompt = prompt, .max_tokens = 1}, again).has_value());
  run(**engine);
  EXPECT_EQ(again.timings.cached_tokens, 39u);
  EXPECT(again.ids == sink.ids);
  EXPECT_EQ((*engine)->kv_pages_used(), 0u);
  EXPECT((*engine)->consistent());
}
