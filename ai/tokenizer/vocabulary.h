// SPDX-License-Identifier: GPL-2.0-or-later
// The tokens of a model: texts, types, scores, look-up by text, special tokens, roles.
//
// Everything that a file can get wrong is handled here: ids outside the vocabulary are dropped with
// a warning, malformed token texts become plain text, and look-ups stay bounded for any texts.
#pragma once

#include <array>

#include "ai/tokenizer/config.h"
#include "ai/tokenizer/prefix_index.h"

namespace ai {

// How token texts represent their bytes.
enum class Spelling : u8 {
  kByteLevel,     // GPT-2: each byte is a printable character ("Ġ" is a space)
  kEscapedSpace,  // SentencePiece: U+2581 is a space, "<0x0A>" is a byte
};

// The roles that an algorithm gives to tokens if the file says nothing.
struct VocabularyDefaults {
  Spelling spelling;
  std::optional<u64> bos, eos, unknown, separator;
  bool add_bos = false, add_eos = false;
};

class Vocabulary {
 public:
  static constexpr usize kMaxMatchedBytes = 1024;  // longer token texts are never matched
  static constexpr TokenId kNone = Tokenizer::kNoToken;

  Result<void> load(const TokenizerConfig& config, const VocabularyDefaults& defaults,
                    Platform& platform);

  u32 size() const { return static_cast<u32>(tokens_.size()); }
  // Returns the token whose spelling inside words has these bytes, or kNone.
  TokenId find(std::string_view spelled) const;
  TokenId byte_token(u8 byte) const { return byte_tokens_[byte]; }
  float score(TokenId id) const { return scores_.empty() ? 0.0f : scores_[id]; }
  TokenType type(TokenId id) const { return tokens_[id].type; }
  bool is_end(TokenId id) const { return id < size() && tokens_[id].end; }
  bool is_control(TokenId id) const {
    return id < size() && tokens_[id].type == TokenType::kControl;
  }
  // Returns what the token adds to the text: bytes, perhaps part of a character; "" for control
  // tokens.
  std::string_view piece(TokenId id) const;
  // Returns the token as the file writes it; "" outside the vocabulary.
  std::string_view spelling(TokenId id) const {
    return id < size() ? view(tokens_[id].text) : std::string_view();
  }
  // Returns the token's spelling inside words, the bytes that find() compares.
  std::string_view spelled(TokenId id) const { return view(tokens_[id].spelled); }
  usize longest() const { return longest_; }  // bytes of the longest token find() can return

  TokenId bos = kNone, eos = kNone, unknown = kNone, separator = kNone;
  FillTokens fill;
  bool add_bos = false, add_eos = false;
  bool add_separator = false;  // one more token that ends a text, between the two of a pair

  // Returns the longest special token at the front of `text`, or kNone.
  TokenId special_at(std::string_view text, ParseSpecial parse) const;
  // Returns true if a special token begins with all of `text` and is longer.
  bool begins_special(std::string_view text) const;
  usize special_bytes(TokenId id) const { return tokens_[id].text.size; }
  // Returns false if no special token begins with this byte, so that a search can skip most of a
  // text.
  bool special_begins(char c) const { return special_first_[static_cast<u8>(c)]; }
  usize memory_bytes() const {
    return arena_bytes_ + tokens_.capacity() * sizeof(Token) + scores_.capacity() * sizeof(float) +
           index_.capacity() * sizeof(u32);  // special tokens are few
  }
  bool swallows_space_after(TokenId id) const { return tokens_[id].strip_right; }

 private:
  struct Span {
    u32 offset = 0, size = 0;
  };
  struct Token {
    Span text;     // as in the file
    Span spelled;  // as words spell it; empty if no word can
    Span shown;    // what it adds to the text
    TokenType type = TokenType::kNormal;
    bool end = false, strip_right = false;
  };

  std::string_view view(Span span) const { return arena_.view().substr(span.offset, span.size); }
  Result<Span> store(std::string_view bytes);
  Result<void> add_token(std::string_view text, TokenType type, Spelling spelling);
  Result<void> spell_bytes(Token& token, std::string_view text);
  Result<void> spell_escaped(Token& token, std::string_view text);
  Result<void> build_index(Platform& platform);
  Result<void> insert(TokenId id, u32& duplicates);
  void choose_roles(const TokenizerConfig& config, const VocabularyDefaults& defaults,
                    Platform& platform);
  void mark_known_names();
  void name_fill_token(std::string_view text, TokenId id);
  void mark_end(TokenId id);
  void keep_harmony_end();
  Result<void> collect_special(const TokenizerConfig& config);

  String arena_;  // every text once, and its other forms where they differ
  Vector<Token> tokens_;
  Vector<float> scores_;
  Vector<u32> index_;  // open addressing by spelled(); kNone = free
  PrefixIndex special_;
  std::array<TokenId, 256> byte_tokens_;
  std::array<bool, 256> special_first_{};
  usize longest_ = 0, arena_bytes_ = 0;
};

}  // namespace ai
