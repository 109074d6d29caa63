// SPDX-License-Identifier: GPL-2.0-or-later
// The description of a vocabulary, collected from a model file of any format.
//
// Views point into the file and are needed only while the tokenizer is made.
#pragma once

#include <optional>
#include <string_view>

#include "ai/tokenizer/tokenizer.h"

namespace ai {

// The values of GGUF's tokenizer.ggml.token_type.
enum class TokenType : u8 {
  kUndefined,
  kNormal,
  kUnknown,
  kControl,
  kUserDefined,
  kUnused,
  kByte,
};

// The number of texts after which reading a vocabulary lets other threads run.
constexpr usize kTextsPerBreath = 1024;

struct TokenizerConfig {
  std::string_view model;         // tokenizer.ggml.model: "gpt2", "llama", "t5", "bert"
  std::string_view pre;           // tokenizer.ggml.pre
  std::string_view general_name;  // general.name, by which Phi-3 is recognized
  Vector<std::string_view> tokens;
  Vector<std::string_view> merges;  // "left right", best first
  Vector<float> scores;             // empty, or one per token
  Vector<TokenType> types;          // empty, or one per token
  Vector<Byte> charsmap;            // tokenizer.ggml.precompiled_charsmap
  // Ids as the file has them, not checked against the vocabulary yet.
  std::optional<u64> bos, eos, eot, eom, unknown, separator, padding, mask;
  std::optional<u64> fim_pad, fim_repository, fim_separator, fim_prefix, fim_suffix, fim_middle;
  std::optional<bool> add_bos, add_eos, add_separator, add_space_prefix, remove_extra_spaces;
  std::optional<bool> lowercase, strip_accents;
};

Result<base::Owner<Tokenizer>> make_tokenizer(const TokenizerConfig& config, Platform& platform);

}  // namespace ai
