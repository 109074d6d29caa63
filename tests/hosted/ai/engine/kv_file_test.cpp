// SPDX-License-Identifier: GPL-2.0-or-later
// Saved texts: restoring gives what was saved, and damaged bytes are refused.
#include "ai/engine/kv_file.h"

#include <random>

#include "ai/engine/numerics.h"
#include "arch/host/memory.h"
#include "kernel/base/bytes.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/ask.h"
#include "tests/hosted/ai/engine/stored_bytes.h"

namespace {

using ai::TokenId;

struct Saved final : ai::ByteSink {
  Result<void> write(std::span<const Byte> part) override {
    if (bytes.size() + part.size() > limit) return fail(Errc::kFull, "the disk is full");
    bytes.insert(bytes.end(), part.begin(), part.end());
    return {};
  }
  std::vector<Byte> bytes;
  usize limit = ~usize{0};
};

// A conversation of 30 tokens and 17 more, and its file.
struct Conversation {
  std::vector<TokenId> tokens = counted(30);
  Saved file;
  FakeSink sink;
  bool had(ai::EngineImpl& engine) {
    ai::Request request{.prompt = tokens, .max_tokens = 17, .hash_logits = true};
    if (!engine.submit(request, sink).has_value()) return false;
    run(engine);
    tokens.insert(tokens.end(), sink.ids.begin(), sink.ids.end());
    auto saved = engine.save(tokens, file);
    // The last token was never computed, and only whole pages are kept.
    return saved.has_value() && *saved == 44;
  }
};

}  // namespace

TEST(engine_kv_file, a_conversation_goes_on_in_another_engine) {
  Conversation talk;
  FakeSink beside, after;
  TestPlatform platform;
  auto first = fake_engine(platform, {});
  REQUIRE(first.has_value() && talk.had(**first));
  EXPECT_EQ(talk.file.bytes.size(), 72 + 47 * 4 + 11 * 32 + 8u);
  ai::Request request{.prompt = {}, .max_tokens = 9, .hash_logits = true};
  std::vector<TokenId> longer = talk.tokens;
  longer.push_back(9), longer.push_back(11);
  request.prompt = longer;
  REQUIRE((*first)->submit(request, beside).has_value());
  run(**first);
  for (bool again : {false, true}) {  // onto nothing, and onto what is there already
    auto second = fake_engine(platform, {});
    REQUIRE(second.has_value());
    for (int times = 0; times < 1 + again; times++) {
      Stored stored(talk.file.bytes);
      auto tokens = (*second)->restore(stored);
      REQUIRE(tokens.has_value());
      EXPECT(std::ranges::equal(tokens->view(), talk.tokens));
      EXPECT_EQ((*second)->kv_pages_cached(), 11u);
      EXPECT((*second)->consistent());
    }
    FakeSink sink;
    REQUIRE((*second)->submit(request, sink).has_value());
    run(**second);
    EXPECT_EQ(sink.timings.cached_tokens, 44u);
    EXPECT(sink.ids == beside.ids && sink.hashes == beside.hashes);
  }
}

TEST(engine_kv_file, the_same_text_gives_the_same_bytes) {
  TestPlatform platform;
  Conversation a, b;
  auto first = fake_engine(platform, {}), second = fake_engine(platform, {.prefill_chunk = 3});
  REQUIRE(first.has_value() && second.has_value());
  FakeSink other;  // the second engine's pages have held another text
  std::vector<TokenId> noise = counted(60);
  std::ranges::reverse(noise);
  REQUIRE((*second)->submit({.prompt = noise, .max_tokens = 9}, other).has_value());
  run(**second);
  (*second)->forget_prompts();
  REQUIRE(a.had(**first) && b.had(**second));
  EXPECT(a.file.bytes == b.file.bytes);
}

TEST(engine_kv_file, damaged_bytes_are_refused_and_leave_the_store_as_it_was) {
  TestPlatform platform;
  Conversation talk;
  auto first = fake_engine(platform, {}), engine = fake_engine(platform, {});
  REQUIRE(first.has_value() && engine.has_value() && talk.had(**first));
  i64 live = host::live_allocations();
  auto refused = [&](std::span<const Byte> bytes) {
    Stored stored(bytes);
    auto tokens = (*engine)->restore(stored);
    bool ok = !tokens.has_value() && (*engine)->kv_pages_cached() == 0 &&
              (*engine)->kv_pages_used() == 0 && (*engine)->consistent() &&
              host::live_allocations() == live;
    return ok;
  };
  std::vector<Byte>& bytes = talk.file.bytes;
  for (usize n = 0; n < bytes.size(); n++) EXPECT(refused(std::span(bytes).first(n)));
  for (usize bit = 0; bit < bytes.size() * 8; bit++) {
    bytes[bit / 8] ^= static_cast<Byte>(1 << bit % 8);
    if (!refused(bytes)) test.report(__FILE__, __LINE__, "a flipped bit was not seen");
    bytes[bit / 8] ^= static_cast<Byte>(1 << bit % 8);
  }
  // Hostile counts, each with everything else right: offset, value, what it is.
  const struct {
    usize at;
    u64 value;
    usize size;
    Errc code;
  } kHostile[] = {
      {8, 1, 4, Errc::kUnsupported},   // version: too old
      {8, 2, 4, Errc::kCorrupt},       // without the fields for windows
      {8, 3, 4, Errc::kCorrupt},       // without a field for the numerics
      {8, 5, 4, Errc::kUnsupported},   //
      {12, 0, 4, Errc::kUnsupported},  // version of the numerics
      {12, ai::kNumericsVersion + 1, 4, Errc::kUnsupported},
      {16, 0x3871, 8, Errc::kUnsupported},      // cache type: "q8"
      {16, ~u64{0}, 8, Errc::kUnsupported},     // no name
      {24, 1, 8, Errc::kUnsupported},           // model
      {32, 0, 4, Errc::kUnsupported},           // positions a page
      {32, ~u32{0}, 4, Errc::kUnsupported},     //
      {36, 0, 4, Errc::kCorrupt},               // tokens
      {36, 257, 4, Errc::kContextFull},         // more than the context
      {36, ~u32{0}, 4, Errc::kContextFull},     //
      {40, 0, 8, Errc::kUnsupported},           // bytes a page
      {40, ~u64{0}, 8, Errc::kUnsupported},     //
      {48, 12, 4, Errc::kCorrupt},              // pages
      {48, ~u32{0}, 4, Errc::kCorrupt},         //
      {52, 1, 4, Errc::kCorrupt},               // reserved
      {56, 32, 8, Errc::kUnsupported},          // bytes a window page
      {64, 1, 4, Errc::kCorrupt},               // window pages
      {68, 1, 4, Errc::kCorrupt},               // reserved
      {72, kFakeVocabulary, 4, Errc::kCorrupt}  // a token
  };
  for (const auto& row : kHostile) {
    std::vector<Byte> copy = bytes;
    std::memcpy(copy.data() + row.at, &row.value, row.size);
    Stored stored(copy);
    auto tokens = (*engine)->restore(stored);
    REQUIRE(!tokens.has_value());
    EXPECT(tokens.error().code == row.code);
    if (row.value == 0x3871)
      EXPECT_EQ(std::string_view(tokens.error().what), ai::kv_type_info(ai::KvType::kQ8).refusal);
    EXPECT_EQ(host::live_allocations(), live);
  }
  Stored whole(bytes);
  EXPECT((*engine)->restore(whole).has_value());
}

TEST(engine_kv_file, no_room_no_memory_no_disk) {
  TestPlatform platform;
  Conversation talk;
  auto first = fake_engine(platform, {});
  REQUIRE(first.has_value() && talk.had(**first));
  // A running request holds the pages that would be needed.
  auto small = fake_engine(platform, {.context = 64, .kv_bytes = 17 * 32});
  REQUIRE(small.has_value());
  FakeSink holder;
  std::vector<TokenId> prompt = counted(40);
  std::ranges::reverse(prompt);
  REQUIRE((*small)->submit({.prompt = prompt, .max_tokens = 20}, holder).has_value());
  (*small)->step();
  Stored stored(talk.file.bytes);
  auto full = (*small)->restore(stored);
  REQUIRE(!full.has_value());
  EXPECT(full.error().code == Errc::kFull);
  run(**small);
  EXPECT(holder.reason == ai::FinishReason::kLength);
  Stored later(talk.file.bytes);
  EXPECT((*small)->restore(later).has_value());
  for (u64 n = 1; n < 10; n++) {
    i64 live = host::live_allocations();
    Stored again(talk.file.bytes);
    host::fail_allocation(n);
    auto tokens = (*small)->restore(again);
    host::fail_allocation(0);
    if (tokens.has_value()) {
      EXPECT_EQ(n, 3u);  // tokens and pages
      break;
    }
    EXPECT(tokens.error().code == Errc::kOutOfMemory);
    EXPECT_EQ(host::live_allocations(), live);
  }
  for (usize limit = 0; limit < talk.file.bytes.size(); limit += 5) {
    Saved disk;
    disk.limit = limit;
    auto saved = (*first)->save(talk.tokens, disk);
    REQUIRE(!saved.has_value());
    EXPECT(saved.error().code == Errc::kFull);
    EXPECT_EQ((*first)->kv_pages_used(), 0u);
    EXPECT((*first)->consistent());
  }
}

TEST(engine_kv_file, what_cannot_be_saved) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {}),
       recurrent = fake_engine(platform, {}, {.recurrent = true});
  REQUIRE(engine.has_value() && recurrent.has_value());
  Saved file;
  std::vector<TokenId> text = counted(30), beyond = {kFakeVocabulary}, none;
  EXPECT((*recurrent)->save(text, file).error().code == Errc::kUnsupported);
  EXPECT((*engine)->save(beyond, file).error().code == Errc::kInvalidArgument);
  EXPECT((*engine)->save(none, file).error().code == Errc::kInvalidArgument);
  EXPECT(file.bytes.empty());
  // A text nobody has read: its tokens, no pages.
  auto saved = (*engine)->save(text, file);
  REQUIRE(saved.has_value());
  EXPECT_EQ(*saved, 0u);
  Stored stored(file.bytes);
  auto tokens = (*engine)->restore(stored);
  REQUIRE(tokens.has_value());
  EXPECT(std::ranges::equal(tokens->view(), text));
  Stored another(file.bytes);
  EXPECT((*recurrent)->restore(another).error().code == Errc::kUnsupported);
}
