// SPDX-License-Identifier: GPL-2.0-or-later
// What a model file says about its vocabulary, gathered from whatever format holds it.
//
// Views point into the file and need to live only while the tokenizer is made.
#pragma once

#include <optional>
#include <string_view>

#include "ai/tokenizer/tokenizer.h"

namespace ai {

// GGUF's tokenizer.ggml.token_type.
enum class TokenType : u8 {
  kUndefined,
  kNormal,
  kUnknown,
  kControl,
  kUserDefined,
  kUnused,
  kByte,
};

// A vocabulary is read in pieces of so many texts, between which others have their turn.
constexpr usize kTextsPerBreath = 1024;

struct TokenizerConfig {
  std::string_view model;         // tokenizer.ggml.model: "gpt2", "llama", "t5", "bert"
  std::string_view pre;           // tokenizer.ggml.pre
  std::string_view general_name;  // general.name: Phi-3 is told by it
  Vector<std::string_view> tokens;
  Vector<std::string_view> merges;  // "left right", best first
  Vector<float> scores;             // empty or one a token
  Vector<TokenType> types;          // empty or one a token
  Vector<Byte> charsmap;            // tokenizer.ggml.precompiled_charsmap
  // Ids as the file has them, not yet checked against the vocabulary.
  std::optional<u64> bos, eos, eot, eom, unknown, separator, padding, mask;
  std::optional<u64> fim_pad, fim_repository, fim_separator;
  std::optional<bool> add_bos, add_eos, add_separator, add_space_prefix, remove_extra_spaces;
  std::optional<bool> lowercase, strip_accents;
};

Result<base::Owner<Tokenizer>> make_tokenizer(const TokenizerConfig& config, Platform& platform);

}  // namespace ai
