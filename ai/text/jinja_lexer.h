// SPDX-License-Identifier: GPL-2.0-or-later
// Splits templates into tokens: text between tags, tags with their white space control (trim_blocks
// and lstrip_blocks are on, as Hugging Face renders chat templates), names, numbers, strings and
// operators.
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
    kString,  // text is the decoded string
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

// `source` has "
// " line ends and must outlive the tokens. Decoded strings are in `arena`.
Result<Vector<Token>> tokenize(std::string_view source, Arena& arena, Reporter& reporter);

}  // namespace ai::jinja
