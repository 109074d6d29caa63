// SPDX-License-Identifier: GPL-2.0-or-later
// Templates to tokens: text between tags, tags with their white space control (trim_blocks and
// lstrip_blocks on, as Hugging Face renders chat templates), names, numbers, strings, operators.
#pragma once

#include "ai/text/jinja_error.h"
#include "ai/text/jinja_value.h"

namespace ai::jinja {

struct Token {
  enum class Kind : u8 {
    kText,
    kOutputBegin,  // {{
    kOutputEnd,
    kBlockBegin,  // {%
    kBlockEnd,
    kName,
    kInteger,
    kFloat,
    kString,  // text = decoded
    kOperator,
    kEnd,
  };
  Kind kind;
  u32 offset;
  std::string_view text;

  bool is(Kind wanted) const { return kind == wanted; }
  bool is_operator(std::string_view wanted) const {
    return kind == Kind::kOperator && text == wanted;
  }
  bool is_name(std::string_view wanted) const { return kind == Kind::kName && text == wanted; }
};

// `source` has "\n" line ends and outlives the tokens; decoded strings live in `arena`.
Result<Vector<Token>> tokenize(std::string_view source, Arena& arena, Reporter& reporter);

}  // namespace ai::jinja
