// SPDX-License-Identifier: GPL-2.0-or-later
// SentencePiece byte-pair encoding: joins the neighbours whose joined text has the best score
// first. Text that has no token in the end is encoded as bytes.
#include <bit>

#include "ai/tokenizer/algorithm.h"
#include "ai/tokenizer/merge.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

// Maps floats in descending order to ascending integers. Equal scores, and both zeros, are equal.
u32 descending_key(float score) {
  u32 bits = std::bit_cast<u32>(score + 0.0f);
  u32 ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

struct ScoreRules {
  const Vocabulary& vocabulary;
  std::string_view text;

  MergePair pair(const MergeSymbol& left, const MergeSymbol& right) const {
    TokenId token = vocabulary.find(text.substr(left.begin, left.size + right.size));
    if (token == Vocabulary::kNone) return {};
    return {descending_key(vocabulary.score(token)), token};
  }
};

class Spm final : public VocabularyTokenizer {
 public:
  Result<void> load(const TokenizerConfig& config, Platform& platform);

 protected:
  Result<void> encode_text(std::string_view text, bool after_special,
                           Vector<TokenId>& out) const override;

 private:
  Result<void> emit(const MergeSymbol& symbol, std::string_view text, Vector<TokenId>& out) const;

  bool add_space_prefix_ = true;
};

Result<void> Spm::load(const TokenizerConfig& config, Platform& platform) {
  VocabularyDefaults defaults{.spelling = Spelling::kEscapedSpace,
                              .bos = 1,
                              .eos = 2,
                              .unknown = 0,
                              .separator = {},
                              .add_bos = true};
  add_space_prefix_ = config.add_space_prefix.value_or(true);
  return vocabulary_.load(config, defaults, platform);
}

Result<void> Spm::encode_text(std::string_view text, bool after_special,
                              Vector<TokenId>& out) const {
  String escaped;
  if (add_space_prefix_ && after_special) TRY(escaped.append(kSpaceMark));
  for (char c : text) TRY(c == ' ' ? escaped.append(kSpaceMark) : escaped.push_back(c));
  std::string_view whole = escaped.view();
  if (whole.size() >= ~u32{0})
    return fail(Errc::kInvalidArgument, "the text is too long to be encoded");

  ScoreRules rules{vocabulary_, whole};
  Merger<ScoreRules> merger(rules);
  for (u32 at = 0; at < whole.size();) {
    u32 bytes = utf8::decode(whole.substr(at)).bytes;
    TokenId token = vocabulary_.find(whole.substr(at, bytes));
    TRY(merger.add({.begin = at, .size = bytes, .token = token, .with_next = {}}));
    at += bytes;
  }
  TRY(merger.run());
  for (const MergeSymbol& symbol : merger.symbols()) TRY(emit(symbol, whole, out));
  return {};
}

Result<void> Spm::emit(const MergeSymbol& symbol, std::string_view text,
                       Vector<TokenId>& out) const {
  if (symbol.token != Vocabulary::kNone) return out.push_back(symbol.token);
  for (char c : text.substr(symbol.begin, symbol.size)) {
    TokenId byte = vocabulary_.byte_token(static_cast<u8>(c));
    if (byte == Vocabulary::kNone) byte = vocabulary_.unknown;
    if (byte != Vocabulary::kNone) TRY(out.push_back(byte));
  }
  return {};
}

}  // namespace

Result<base::Owner<Tokenizer>> make_spm(const TokenizerConfig& config, Platform& platform) {
  return load_tokenizer(TRY(base::make<Spm>()), config, platform);
}

}  // namespace ai
