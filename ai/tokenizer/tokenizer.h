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

  virtual Result<void> encode(std::string_view text, AddSpecial, ParseSpecial,
                              Vector<TokenId>& out) const = 0;
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
};

}  // namespace ai
