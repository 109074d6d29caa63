// SPDX-License-Identifier: GPL-2.0-or-later
// Converts text to token ids and back, as the model's file defines it. Immutable after loading and
// shared by all threads.
#pragma once

#include <string_view>

#include "ai/platform.h"
#include "kernel/base/containers.h"

namespace ai {

class GgufFile;
using TokenId = u32;

enum class AddSpecial : u8 { kNo, kYes };    // add BOS/EOS as the model needs them
enum class ParseSpecial : u8 { kNo, kYes };  // "<|im_end|>" in the text is the token, not letters

// The control tokens of models that can fill in the middle of a text; kNoToken where there is none.
struct FillTokens {
  TokenId prefix = ~TokenId{0}, suffix = ~TokenId{0}, middle = ~TokenId{0};
  TokenId repository = ~TokenId{0}, file = ~TokenId{0};  // before names of other texts
};

class Tokenizer {
 public:
  // Loads a tokenizer from GGUF metadata (tokenizer.ggml.*). Errors name the key.
  static Result<base::Owner<Tokenizer>> load(const GgufFile& file, Platform& platform);
  virtual ~Tokenizer() = default;

  // Appends the tokens of `text`. Takes at most n log n time in the bytes of any text, about a
  // microsecond for 4 bytes, and does not yield. Returns kContextFull for a text longer than
  // longest_text().
  virtual Result<void> encode(std::string_view text, AddSpecial, ParseSpecial,
                              Vector<TokenId>& out) const = 0;
  // Appends a pair of texts as a reranker reads it, and returns where the second one begins.
  virtual Result<u32> encode_pair(std::string_view first, std::string_view second,
                                  Vector<TokenId>& out) const;
  // In bytes. Limited only by memory until an engine sets the bound that fits its context.
  usize longest_text() const { return longest_text_; }
  void bound_text(usize bytes) { longest_text_ = bytes; }

  // ---- text of templates, in which only the template itself may write control tokens
  // Marks places where guarded text is not a control token; it never becomes part of a token.
  static constexpr std::string_view kGuard = "\xef\xb7\x90";  // U+FDD0, no character
  // Appends `text` so that encode_guarded() finds no control token in it, whatever surrounds it.
  // Text without a control token's spelling is appended unchanged.
  virtual Result<void> guard(std::string_view text, String& out) const;
  // Appends a guarded text without its guards, for people to read.
  static Result<void> unguard(std::string_view text, String& out);
  // Encodes with control tokens parsed, except in text that guard() has processed.
  virtual Result<void> encode_guarded(std::string_view text, AddSpecial,
                                      Vector<TokenId>& out) const;
  // Returns the token as text writes it, control tokens included; "" for kNoToken.
  virtual std::string_view spelling(TokenId id) const { return piece(id); }

  // Returns the raw bytes of a token, which may split a UTF-8 sequence (Utf8Stream joins them); ""
  // for control tokens.
  virtual std::string_view piece(TokenId id) const = 0;
  virtual u32 size() const = 0;
  virtual bool is_end(TokenId id) const = 0;  // any end-of-generation token
  virtual bool is_control(TokenId id) const = 0;
  virtual TokenId bos() const = 0;  // kNoToken if there is none
  virtual TokenId eos() const = 0;
  virtual usize memory_bytes() const { return 0; }  // bytes of its tables, for the memory plan
  virtual FillTokens fill_tokens() const { return {}; }

  static constexpr TokenId kNoToken = ~TokenId{0};

 private:
  usize longest_text_ = ~usize{0};
};

}  // namespace ai
