// SPDX-License-Identifier: GPL-2.0-or-later
// WordPiece (BERT): splits at spaces and punctuation, then takes the longest known piece first. In
// GGUF the first piece of a word begins with U+2581. A word that cannot be split into pieces is one
// unknown token.
#include "ai/tokenizer/algorithm.h"
#include "ai/tokenizer/unicode.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

constexpr std::string_view kWordMark = "\xe2\x96\x81";

// Returns true for characters that BERT's basic tokenizer makes words of their own.
bool is_ideograph(u32 code) {
  constexpr u32 kRanges[][2] = {{0x4e00, 0x9fff},   {0x3400, 0x4dbf},   {0x20000, 0x2a6df},
                                {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf},
                                {0xf900, 0xfaff},   {0x2f800, 0x2fa1f}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [code](const u32(&r)[2]) { return code >= r[0] && code <= r[1]; });
}

class WordPiece final : public VocabularyTokenizer {
 public:
  Result<void> load(const TokenizerConfig& config, Platform& platform);

 protected:
  Result<void> encode_text(std::string_view text, bool after_special,
                           Vector<TokenId>& out) const override;
  TokenId closing() const override {
    return vocabulary_.separator != Vocabulary::kNone ? vocabulary_.separator : vocabulary_.eos;
  }

 private:
  Result<void> encode_word(String& word, Vector<TokenId>& out) const;

  PrefixIndex pieces_;
  bool lowercase_ = true, strip_accents_ = true;
};

Result<void> WordPiece::load(const TokenizerConfig& config, Platform& platform) {
  VocabularyDefaults defaults{.spelling = Spelling::kEscapedSpace,
                              .bos = 101,
                              .eos = {},
                              .unknown = 100,
                              .separator = 102,
                              .add_bos = true};
  lowercase_ = config.lowercase.value_or(true);
  strip_accents_ = config.strip_accents.value_or(lowercase_);
  TRY(vocabulary_.load(config, defaults, platform));
  vocabulary_.add_eos = closing() != Vocabulary::kNone;
  vocabulary_.add_separator = false;  // the key means the one that ends a text
  Vector<TokenId> ids;
  for (TokenId id = 0; id < vocabulary_.size(); id++) TRY(ids.push_back(id));
  auto text_of = [this](TokenId id) { return vocabulary_.spelled(id); };
  return pieces_.build(std::move(ids), text_of, [](TokenId a, TokenId b) { return a < b; });
}

Result<void> WordPiece::encode_text(std::string_view text, bool, Vector<TokenId>& out) const {
  String word;
  while (!text.empty()) {
    utf8::Decoded c = utf8::decode(text);
    text.remove_prefix(c.bytes);
    u32 code = strip_accents_ ? unicode::base_letter(c.code_point) : c.code_point;
    unicode::CategorySet set = unicode::class_of(code);
    if ((set & unicode::kWhiteSpace) != 0) {
      TRY(encode_word(word, out));
      continue;
    }
    bool dropped = code == 0 || code == utf8::kReplacement || (set & unicode::kOther) != 0 ||
                   (strip_accents_ && (set & unicode::kMark) != 0);
    if (dropped) continue;
    char bytes[4];
    u32 size = utf8::encode(lowercase_ ? unicode::to_lower(code) : code, bytes);
    bool alone = (set & unicode::kPunctuation) != 0 ||
                 (code < 0x7f && (set & unicode::kSymbol) != 0) || is_ideograph(code);
    if (alone) TRY(encode_word(word, out));
    TRY(word.append({bytes, size}));
    if (alone) TRY(encode_word(word, out));
  }
  return encode_word(word, out);
}

// Appends the word's tokens and empties the word.
Result<void> WordPiece::encode_word(String& word, Vector<TokenId>& out) const {
  if (word.empty()) return {};
  String marked;
  TRY(marked.append(kWordMark));
  TRY(marked.append(word.view()));
  word.clear();
  usize begin = out.size();
  for (std::string_view rest = marked.view(); !rest.empty();) {
    TokenId best = Vocabulary::kNone;
    usize bytes = 0;
    pieces_.each(
        rest, [this](TokenId id) { return vocabulary_.spelled(id); },
        [&](TokenId id, usize matched) { best = id, bytes = matched; });
    if (best == Vocabulary::kNone) {
      out.truncate(begin);
      if (vocabulary_.unknown != Vocabulary::kNone) TRY(out.push_back(vocabulary_.unknown));
      return {};
    }
    TRY(out.push_back(best));
    rest.remove_prefix(bytes);
  }
  return {};
}

}  // namespace

Result<base::Owner<Tokenizer>> make_wordpiece(const TokenizerConfig& config, Platform& platform) {
  return load_tokenizer(TRY(base::make<WordPiece>()), config, platform);
}

}  // namespace ai
