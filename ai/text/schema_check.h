// SPDX-License-Identifier: GPL-2.0-or-later
// Judges finished values by a JSON schema, exactly: the values of `enum` and `const` whose schema
// has further conditions, and names of properties. For threads; nothing here yields.
#pragma once

#include "ai/text/text_automaton.h"
#include "kernel/base/json.h"

namespace ai {

// The use that the schema compiler has for a keyword. Keywords that it does not know describe a
// value and forbid none (JSON Schema Core 2020-12, section 6.5).
enum class KeywordUse : u8 { kDescribes, kEnforced, kRefused };
KeywordUse keyword_use(std::string_view name);

class SchemaCheck {
 public:
  SchemaCheck(json::Value root, Work& work) : root_(root), work_(work) {}

  // Does the value meet the schema? Both are parts of the document of `root`.
  Result<bool> holds(json::Value schema, json::Value value);
  // The same for one keyword that needs no other beside it.
  Result<bool> keyword_holds(std::string_view keyword, json::Value expected, json::Value value);
  // Finds what a $ref points to.
  Result<json::Value> resolve(std::string_view reference);
  // The texts that a `pattern` or a `format` allows. A format that allows every text is absent.
  Result<TextAutomaton> pattern(json::Value pattern, bool wide,
                                const TextAutomaton* within = nullptr);
  static bool has_format(std::string_view name);
  Result<TextAutomaton> format(std::string_view name);

  static bool equal(json::Value a, json::Value b);
  // Returns the text that the last error was about.
  std::string_view about() const { return about_; }

 private:
  std::unexpected<Error> bad(const char* what, std::string_view about) {
    about_ = about;
    return fail(Errc::kInvalidArgument, what);
  }
  Result<bool> applies(json::Value schema, json::Member keyword, json::Value value);
  Result<bool> combined(json::Value schema, json::Member keyword, json::Value value);
  Result<bool> number(json::Value schema, json::Member keyword, json::Value value);
  Result<bool> string(json::Member keyword, json::Value value);
  Result<bool> array(json::Value schema, json::Member keyword, json::Value value);
  Result<bool> object(json::Value schema, json::Member keyword, json::Value value);
  Result<bool> additional(json::Value schema, json::Value rest, json::Value value);
  Result<bool> unique(json::Value list);
  Result<bool> name_holds(json::Value schema, json::Value name);
  static bool type_holds(std::string_view type, json::Value value);

  json::Value root_;
  Work& work_;
  std::string_view about_;
  u32 depth_ = 0;
};

}  // namespace ai
