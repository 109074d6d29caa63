// SPDX-License-Identifier: GPL-2.0-or-later
// Text to token ids and back, as the model's own file says. Immutable after load, shared by all.
#pragma once

#include <string_view>

#include "ai/platform.h"
#include "kernel/base/containers.h"

namespace ai {

class GgufFile;
using TokenId = u32;

enum class AddSpecial : u8 { kNo, kYes };    // BOS/EOS as the model wants them
enum class ParseSpecial : u8 { kNo, kYes };  // "<|im_end|>" in the text is the token, not letters

class Tokenizer {
 public:
  // From GGUF metadata (tokenizer.ggml.*). Errors name the key.
  static Result<base::Owner<Tokenizer>> load(const GgufFile& file, Platform& platform);
  virtual ~Tokenizer() = default;

  // Takes n log n time in the bytes of the text at most, whatever it says, and never gives way:
  // about a microsecond for 4 bytes. kContextFull for a text longer than longest_text().
  virtual Result<void> encode(std::string_view text, AddSpecial, ParseSpecial,
                              Vector<TokenId>& out) const = 0;
  // Bytes. As long as memory goes until an engine with its context has bounded it.
  usize longest_text() const { return longest_text_; }
  void bound_text(usize bytes) { longest_text_ = bytes; }

  // ---- text of templates, in which only the template itself may write control tokens
  // Stands where a guarded text is not what it looks like; never reaches a token.
  static constexpr std::string_view kGuard = "\xef\xb7\x90";  // U+FDD0, no character
  // Appends `text` so that encode_guarded() finds no control token in it, whatever surrounds it.
  // Texts that spell none come out as they are.
  virtual Result<void> guard(std::string_view text, String& out) const;
  // Appends a guarded text as it was, for people to read.
  static Result<void> unguard(std::string_view text, String& out);
  // encode() with control tokens parsed, except in what guard() went over.
  virtual Result<void> encode_guarded(std::string_view text, AddSpecial,
                                      Vector<TokenId>& out) const;
  // How a text spells the token, control tokens too; "" for kNoToken.
  virtual std::string_view spelling(TokenId id) const { return piece(id); }

  // Raw bytes of a token; may split a UTF-8 sequence (Utf8Stream joins them). "" for control
  // tokens.
  virtual std::string_view piece(TokenId id) const = 0;
  virtual u32 size() const = 0;
  virtual bool is_end(TokenId id) const = 0;  // any end-of-generation token
  virtual bool is_control(TokenId id) const = 0;
  virtual TokenId bos() const = 0;  // kNoToken when there is none
  virtual TokenId eos() const = 0;
  virtual usize memory_bytes() const { return 0; }  // of its tables, for the byte plan

  static constexpr TokenId kNoToken = ~TokenId{0};

 private:
  usize longest_text_ = ~usize{0};
};

}  // namespace ai
