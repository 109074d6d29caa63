// SPDX-License-Identifier: GPL-2.0-or-later
// Vocabularies and texts made to break a tokenizer: an error or a working tokenizer, in time.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "ai/tokenizer/config.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_platform.h"

namespace {

using ai::AddSpecial;
using ai::ParseSpecial;
using ai::TokenId;
using ai::TokenizerConfig;
using ai::TokenType;

void add(TokenizerConfig& config, std::string_view text, TokenType type = TokenType::kNormal,
         float score = 0) {
  MUST(config.tokens.push_back(text));
  MUST(config.types.push_back(type));
  MUST(config.scores.push_back(score));
}

// Bytes "a" and "b", their merges up to "aaaa", a control and a user-defined token.
TokenizerConfig small_bpe() {
  TokenizerConfig config;
  config.model = "gpt2";
  config.pre = "gpt-2";
  for (std::string_view t : {"a", "b", "aa", "aaaa", "ab"}) add(config, t);
  add(config, "<|stop|>", TokenType::kControl);
  add(config, "<<", TokenType::kUserDefined);
  add(config, "<|stop|>more", TokenType::kControl);
  for (std::string_view m : {"a a", "aa aa", "a b"}) MUST(config.merges.push_back(m));
  config.bos = config.eos = 5;
  return config;
}

TokenizerConfig small_spm() {
  TokenizerConfig config;
  config.model = "llama";
  add(config, "<unk>", TokenType::kUnknown);
  add(config, "<s>", TokenType::kControl);
  add(config, "</s>", TokenType::kControl);
  add(config, "<0x62>", TokenType::kByte);
  add(config, "a", TokenType::kNormal, -3);
  add(config, "aa", TokenType::kNormal, -1);
  add(config, "aaaa", TokenType::kNormal, -2);
  add(config, "\xe2\x96\x81", TokenType::kNormal, -4);
  return config;
}

base::Owner<ai::Tokenizer> made(TestContext& test, const TokenizerConfig& config) {
  static TestPlatform platform;
  auto tokenizer = ai::make_tokenizer(config, platform);
  EXPECT(tokenizer.has_value());
  return tokenizer.has_value() ? std::move(*tokenizer) : nullptr;
}

std::string ids(const ai::Tokenizer& tokenizer, std::string_view text,
                ParseSpecial parse = ParseSpecial::kYes, AddSpecial add = AddSpecial::kNo) {
  Vector<TokenId> out;
  if (!tokenizer.encode(text, add, parse, out).has_value()) return "failed";
  std::string joined;
  for (TokenId id : out) joined += (joined.empty() ? "" : " ") + std::to_string(id);
  return joined;
}
#define EXPECT_IDS(actual, wanted) EXPECT_EQ(std::string_view(actual), std::string_view(wanted))

double seconds_of(const ai::Tokenizer& tokenizer, const std::string& text, usize& count) {
  std::clock_t begin = std::clock();
  Vector<TokenId> out;
  bool done = tokenizer.encode(text, AddSpecial::kNo, ParseSpecial::kYes, out).has_value();
  count = done ? out.size() : 0;
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

}  // namespace

TEST(tokenizer_hostile, special_tokens_longest_first) {
  auto t = made(test, small_bpe());
  REQUIRE(t != nullptr);
  EXPECT_IDS(ids(*t, "a<|stop|>b"), "0 5 1");
  EXPECT_IDS(ids(*t, "a<|stop|>moreb"), "0 7 1");
  EXPECT_IDS(ids(*t, "a<<b"), "0 6 1");
  // Letters without a token of their own are dropped, as other readers of such files do.
  EXPECT_IDS(ids(*t, "a<|stop|>b", ParseSpecial::kNo), "0 1");
  EXPECT_IDS(ids(*t, "a<<b", ParseSpecial::kNo), "0 6 1");
  EXPECT_EQ(t->piece(5), "");
  EXPECT_EQ(t->piece(6), "<<");
  EXPECT_EQ(t->piece(99), "");
  EXPECT(t->is_control(5) && !t->is_control(6));
  EXPECT(t->is_end(5) && !t->is_end(0) && !t->is_end(99));
}

TEST(tokenizer_hostile, scores_and_bytes) {
  auto t = made(test, small_spm());
  REQUIRE(t != nullptr);
  EXPECT_IDS(ids(*t, "aaa"), "7 5 4");
  EXPECT_IDS(ids(*t, "aaaab"), "7 6 3");
  EXPECT_IDS(ids(*t, "x"), "7 0");
  EXPECT_IDS(ids(*t, "a", ParseSpecial::kYes, AddSpecial::kYes), "1 7 4");
  EXPECT_EQ(t->piece(3), "b");
  EXPECT_EQ(t->piece(7), " ");
}

TEST(tokenizer_hostile, marks_of_a_gap_by_id_and_by_name) {
  auto none = made(test, small_bpe());
  REQUIRE(none != nullptr);
  EXPECT_EQ(none->fill_tokens().prefix, ai::Tokenizer::kNoToken);
  TokenizerConfig config = small_bpe();
  for (std::string_view name :
       {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>"})
    add(config, name, TokenType::kControl);
  auto named = made(test, config);
  REQUIRE(named != nullptr);
  ai::FillTokens fill = named->fill_tokens();
  EXPECT_EQ(fill.prefix, 8u);
  EXPECT_EQ(fill.suffix, 9u);
  EXPECT_EQ(fill.middle, 10u);
  EXPECT_EQ(fill.file, 11u);
  EXPECT_EQ(fill.repository, ai::Tokenizer::kNoToken);
  config.fim_prefix = 5;  // the file knows better than the name
  auto given = made(test, config);
  REQUIRE(given != nullptr);
  EXPECT_EQ(given->fill_tokens().prefix, 5u);
}

TEST(tokenizer_hostile, roles_outside_the_vocabulary) {
  constexpr u64 kIds[] = {8, 9, u64{1} << 31, (u64{1} << 32) - 1, ~u64{0}};
  for (u64 id : kIds) {
    TokenizerConfig config = small_bpe();
    config.bos = config.eos = config.eot = config.unknown = config.fim_pad = id;
    config.fim_prefix = id;
    config.add_bos = config.add_eos = true;
    auto t = made(test, config);
    REQUIRE(t != nullptr);
    EXPECT_EQ(t->bos(), ai::Tokenizer::kNoToken);
    EXPECT_EQ(t->fill_tokens().prefix, ai::Tokenizer::kNoToken);
    EXPECT_IDS(ids(*t, "ab", ParseSpecial::kYes, AddSpecial::kYes), "4");
  }
  // Defaults of the format, in a vocabulary of one token.
  for (std::string_view model : {"llama", "t5", "bert"}) {
    TokenizerConfig config;
    config.model = model;
    add(config, "a");
    auto t = made(test, config);
    REQUIRE(t != nullptr);
    ids(*t, "aaa b", ParseSpecial::kYes, AddSpecial::kYes);
  }
}

TEST(tokenizer_hostile, arrays_of_other_lengths) {
  TestPlatform platform;
  TokenizerConfig config = small_bpe();
  config.types.truncate(3);
  EXPECT(!ai::make_tokenizer(config, platform).has_value());
  config = small_bpe();
  config.scores.truncate(3);
  EXPECT(!ai::make_tokenizer(config, platform).has_value());
  config = small_bpe();
  config.tokens.clear();
  EXPECT(!ai::make_tokenizer(config, platform).has_value());
  config = small_bpe();
  config.merges.clear();
  EXPECT(!ai::make_tokenizer(config, platform).has_value());
  config = small_bpe();
  config.pre = "no-such";
  EXPECT(!ai::make_tokenizer(config, platform).has_value());
  EXPECT(platform.logged("no-such"));
  config.model = "nothing";
  EXPECT(!ai::make_tokenizer(config, platform).has_value());
}

TEST(tokenizer_hostile, odd_byte_tokens) {
  // Every six-byte "<0x..>" is a byte or plain text, never a crash.
  TokenizerConfig config = small_spm();
  std::string texts[256];
  for (u32 i = 0; i < 256; i++) {
    texts[i] = std::string("<0x") + static_cast<char>(i) + (i % 2 == 0 ? 'Z' : '1') + ">";
    add(config, texts[i], TokenType::kByte);
  }
  add(config, "<0x-1>", TokenType::kByte);
  add(config, "", TokenType::kByte);
  auto t = made(test, config);
  REQUIRE(t != nullptr);
  for (TokenId id = 0; id < t->size(); id++) t->piece(id);
}

TEST(tokenizer_hostile, merges_that_name_nothing) {
  TokenizerConfig config = small_bpe();
  for (std::string_view m : {"", " ", "  ", "a", "a ", " a", "x y", "a a", "a\xff b", "b a"})
    MUST(config.merges.push_back(m));
  auto t = made(test, config);
  REQUIRE(t != nullptr);
  EXPECT_IDS(ids(*t, "aaaaab"), "3 4");
}

TEST(tokenizer_hostile, a_megabyte_of_one_character) {
  std::string text(1 << 20, 'a');
  usize count = 0;
  auto bpe = made(test, small_bpe());
  auto spm = made(test, small_spm());
  REQUIRE(bpe != nullptr && spm != nullptr);
  // n log n: well under a second without sanitizers; the bound only has to exclude n squared.
  EXPECT(seconds_of(*bpe, text, count) < 20);
  EXPECT_EQ(count, usize{1} << 18);
  EXPECT(seconds_of(*spm, text, count) < 20);
  EXPECT_EQ(count, (usize{1} << 18) + 1);
  for (char c : {' ', '\n', '1', '<', '\xff'}) {
    EXPECT(seconds_of(*bpe, std::string(1 << 20, c), count) < 20);
    EXPECT(seconds_of(*spm, std::string(1 << 20, c), count) < 20);
  }
}

TEST(tokenizer_hostile, no_text_longer_than_the_bound) {
  for (auto* config : {+[] { return small_bpe(); }, +[] { return small_spm(); }}) {
    auto tokenizer = made(test, config());
    REQUIRE(tokenizer != nullptr);
    tokenizer->bound_text(100);
    Vector<TokenId> out;
    EXPECT(tokenizer->encode(std::string(100, 'a'), AddSpecial::kNo, ParseSpecial::kNo, out)
               .has_value());
    usize size = out.size();
    auto refused =
        tokenizer->encode(std::string(101, 'a'), AddSpecial::kNo, ParseSpecial::kNo, out);
    EXPECT(!refused.has_value() && refused.error().code == Errc::kContextFull);
    refused = tokenizer->encode_guarded(std::string(101, 'a'), AddSpecial::kNo, out);
    EXPECT(!refused.has_value() && out.size() == size);
  }
}

TEST(tokenizer_hostile, exhaustion_is_an_error) {
  TestPlatform platform;
  TokenizerConfig config = small_bpe();
  i64 before = host::live_allocations();
  for (u32 nth = 1;; nth++) {
    host::fail_allocation(nth);
    auto t = ai::make_tokenizer(config, platform);
    Vector<TokenId> out;
    bool done =
        t.has_value() &&
        (*t)->encode("aab <|stop|> aaaa", AddSpecial::kYes, ParseSpecial::kYes, out).has_value();
    host::fail_allocation(0);
    if (done) break;
    REQUIRE(nth < 1000);
  }
  EXPECT_EQ(host::live_allocations(), before);
}

TEST(tokenizer_hostile, unigram_takes_the_best_sum) {
  TokenizerConfig config;
  config.model = "t5";
  add(config, "<pad>", TokenType::kControl);
  add(config, "</s>", TokenType::kControl);
  add(config, "<unk>", TokenType::kUnknown);
  add(config, "a", TokenType::kNormal, -2);
  add(config, "aa", TokenType::kNormal, -5);
  add(config,
      "\xe2\x96\x81"
      "a",
      TokenType::kNormal, -1);
  add(config, "\xe2\x96\x81", TokenType::kNormal, -3);
  config.add_space_prefix = config.remove_extra_spaces = true;
  auto t = made(test, config);
  REQUIRE(t != nullptr);
  EXPECT_IDS(ids(*t, "aaa"), "5 3 3");
  EXPECT_IDS(ids(*t, "a   a", ParseSpecial::kYes, AddSpecial::kYes), "5 5 1");
  EXPECT_IDS(ids(*t, "xyz a"), "6 2 5");
}

namespace {

// A map that makes the wide A (U+FF21) a plain one: a path of three bytes through the double array,
// each node with its label and the place of its children, and at the end the replacement's place.
std::vector<Byte> map_of_the_wide_a() {
  std::vector<u32> nodes(0x1000);
  constexpr u32 kLeaf = 1u << 8;
  nodes[0] = 0x100 << 10;
  nodes[0x1ef] = 0x200 << 10 | 0xef;
  nodes[0x353] = 0x400 << 10 | 0xbc;
  nodes[0x7f2] = 0x800 << 10 | kLeaf | 0xa1;
  nodes[0xff2] = 2;  // behind another replacement
  u32 size = static_cast<u32>(nodes.size() * sizeof(u32));
  std::vector<Byte> map(sizeof size + size);
  std::memcpy(map.data(), &size, sizeof size);
  std::memcpy(map.data() + sizeof size, nodes.data(), size);
  for (char c : {'x', '\0', 'A', '\0'}) map.push_back(static_cast<Byte>(c));
  return map;
}

}  // namespace

// XLM-RoBERTa's vocabulary in small, as converters write it (bge-m3, multilingual-e5).
TEST(tokenizer_hostile, xlm_roberta_maps_characters_and_closes_twice) {
  TokenizerConfig config;
  config.model = "t5";
  add(config, "<s>", TokenType::kControl);
  add(config, "<pad>", TokenType::kControl);
  add(config, "</s>", TokenType::kControl);
  add(config, "<unk>", TokenType::kUnknown);
  for (std::string_view word : {"\xe2\x96\x81"
                                "A",
                                "\xe2\x96\x81"
                                "b",
                                "\xe2\x96\x81"})
    add(config, word, TokenType::kNormal, -1);
  config.bos = 0;
  config.eos = config.separator = 2;
  config.unknown = 3;
  config.add_bos = config.add_eos = config.add_separator = true;
  config.add_space_prefix = config.remove_extra_spaces = true;
  constexpr std::string_view kText = "\xef\xbc\xa1  b";
  auto plain = made(test, config);
  REQUIRE(plain != nullptr);
  EXPECT_IDS(ids(*plain, kText, ParseSpecial::kYes, AddSpecial::kYes), "0 6 3 5 2");
  std::vector<Byte> map = map_of_the_wide_a();
  MUST(config.charsmap.append(map));
  auto t = made(test, config);
  REQUIRE(t != nullptr);
  EXPECT_IDS(ids(*t, kText, ParseSpecial::kYes, AddSpecial::kYes), "0 4 5 2");
  EXPECT_IDS(ids(*t, "\xef\xbc", ParseSpecial::kYes, AddSpecial::kNo), "6 3");
  Vector<TokenId> pair;
  Result<u32> second = t->encode_pair("A", "b", pair);
  REQUIRE(second.has_value());
  EXPECT_EQ(*second, 3u);
  constexpr TokenId kPair[] = {0, 4, 2, 2, 5, 2};
  EXPECT(std::ranges::equal(pair, kPair));
}

TEST(tokenizer_hostile, wordpiece_takes_the_longest_piece) {
  TokenizerConfig config;
  config.model = "bert";
  for (std::string_view text : {"[UNK]", "[CLS]", "[SEP]"}) add(config, text, TokenType::kControl);
  for (std::string_view text : {"\xe2\x96\x81un", "able", "\xe2\x96\x81", "a", "\xe2\x96\x81!"})
    add(config, text);
  config.unknown = 0;
  config.bos = 1;
  config.separator = 2;
  auto t = made(test, config);
  REQUIRE(t != nullptr);
  EXPECT_IDS(ids(*t, "Unable \xc3\xa4!", ParseSpecial::kYes, AddSpecial::kYes), "1 3 4 5 6 7 2");
  EXPECT_IDS(ids(*t, "unq able"), "0 5 4");
}
