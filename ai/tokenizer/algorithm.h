// SPDX-License-Identifier: GPL-2.0-or-later
// The common base of all tokenizers: the vocabulary, special tokens in the text, BOS and EOS.
#pragma once

#include "ai/tokenizer/vocabulary.h"

namespace ai {

class VocabularyTokenizer : public Tokenizer {
 public:
  Result<void> encode(std::string_view text, AddSpecial add, ParseSpecial parse,
                      Vector<TokenId>& out) const final;
  Result<u32> encode_pair(std::string_view first, std::string_view second,
                          Vector<TokenId>& out) const final;
  Result<void> guard(std::string_view text, String& out) const final;
  Result<void> encode_guarded(std::string_view text, AddSpecial add,
                              Vector<TokenId>& out) const final;
  std::string_view spelling(TokenId id) const final { return vocabulary_.spelling(id); }
  std::string_view piece(TokenId id) const final { return vocabulary_.piece(id); }
  u32 size() const final { return vocabulary_.size(); }
  bool is_end(TokenId id) const final { return vocabulary_.is_end(id); }
  bool is_control(TokenId id) const final { return vocabulary_.is_control(id); }
  TokenId bos() const final { return vocabulary_.bos; }
  TokenId eos() const final { return vocabulary_.eos; }
  FillTokens fill_tokens() const final { return vocabulary_.fill; }
  usize memory_bytes() const override { return vocabulary_.memory_bytes(); }

 protected:
  Result<void> encode_around(std::string_view text, AddSpecial add, ParseSpecial parse,
                             bool guarded, Vector<TokenId>& out) const;
  // Encodes text without special tokens. `after_special` is also set at the beginning.
  virtual Result<void> encode_text(std::string_view text, bool after_special,
                                   Vector<TokenId>& out) const = 0;

  // Returns the token that ends a text with special tokens.
  virtual TokenId closing() const { return vocabulary_.eos; }

  Vocabulary vocabulary_;
};

template <class T>
Result<base::Owner<Tokenizer>> load_tokenizer(base::Owner<T> tokenizer,
                                              const TokenizerConfig& config, Platform& platform) {
  TRY(tokenizer->load(config, platform));
  return base::Owner<Tokenizer>(std::move(tokenizer));
}

// Make the tokenizer for one value of tokenizer.ggml.model each.
Result<base::Owner<Tokenizer>> make_bpe(const TokenizerConfig& config, Platform& platform);
Result<base::Owner<Tokenizer>> make_spm(const TokenizerConfig& config, Platform& platform);
Result<base::Owner<Tokenizer>> make_unigram(const TokenizerConfig& config, Platform& platform);
Result<base::Owner<Tokenizer>> make_wordpiece(const TokenizerConfig& config, Platform& platform);

}  // namespace ai
