// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles JSON Schema to GBNF: rules for sets of conditions. Refuses what cannot be enforced.
#include "ai/text/grammar_schema.h"

#include <algorithm>

namespace ai {

// White space is bounded: one blank, or one line break with its indentation where a value or a name
// may stand on a line of its own; one blank after a colon; none after the end.
constinit const std::string_view kJsonRules = R"(
json-space ::= (" " | "\n" [ \t]{0,16})?
json-blank ::= " "?
json-hex ::= [0-9a-fA-F]
json-unicode ::= [0-9abcefABCEF] json-hex{3} | [dD] [0-7] json-hex{2} | [dD] [89abAB] json-hex{2} "\\u" [dD] [c-fC-F] json-hex{2}
json-char ::= [^"\\\x00-\x1f\x7f] | "\\" (["\\/bfnrt] | "u" json-unicode)
json-control ::= "\\" ([bfnrt] | "u00" [01] json-hex)
json-string ::= "\"" json-char* "\""
json-integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
json-number ::= json-integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?
json-boolean ::= "true" | "false"
json-null ::= "null"
json-member ::= json-string ":" json-blank json-value
json-object ::= "{" json-space (json-member ("," json-space json-member)* json-space)? "}"
json-array ::= "[" json-space (json-value ("," json-space json-value)* json-space)? "]"
json-distinct ::= "["
json-value ::= json-object | json-array | json-string | json-number | json-boolean | json-null
)";

namespace {

constexpr u32 kMaxSchemaDepth = 96;  // counted through references

}  // namespace

GbnfText& GbnfText::literal(std::string_view text) {
  write("\"");
  usize plain = 0;
  for (usize i = 0; i <= text.size(); i++) {
    char c = i < text.size() ? text[i] : '"';
    bool special = c == '"' || c == '\\' || static_cast<u8>(c) < 0x20;
    if (!special) continue;
    write(text.substr(plain, i - plain));
    plain = i + 1;
    if (i == text.size()) break;
    if (c == '"' || c == '\\')
      add("\\{}", c);
    else
      add("\\x{:02x}", static_cast<u32>(c));
  }
  write("\"");
  return *this;
}

std::unexpected<Error> SchemaCompiler::error(const char* what, std::string_view about) {
  if (said_) return fail(Errc::kInvalidArgument, what);
  said_ = true;
  base::format_to(problem_, "JSON schema: {}", what);
  if (!about.empty()) base::format_to(problem_, " '{}'", about);
  return fail(Errc::kInvalidArgument, what);
}

Result<void> SchemaCompiler::check_count(const char* what, usize have, usize most) {
  if (have <= most) return {};
  said_ = true;
  base::format_to(problem_, "the JSON schema has {} {}; at most {} are taken", have, what, most);
  return fail(Errc::kInvalidArgument, "the JSON schema is too large");
}

void SchemaCompiler::contradiction(const char* what, std::string_view about) {
  if (never_what_ != nullptr || looking_ > 0) return;
  never_what_ = what;
  never_about_ = about;
}

Result<void> SchemaCompiler::run() {
  TRY(check_count("values", root_.node_count(), kMaxSchemaValues));
  base_ = root_.node()->end - root_.node_count();
  TRY(check_identities());
  Conditions set;
  TRY(set.push_back({Kind::kSchema, 0}));
  Result<u32> root = rule_for(set);
  if (!root.has_value() && root.error().code != Errc::kOutOfMemory)
    return error(root.error().what, check_.about());
  if (TRY(std::move(root)) == kNever)
    return error(never_what_ == nullptr ? "no value meets it" : never_what_, never_about_);
  GbnfText line;
  line.add("{} ::= {}-{}\n", prefix_, prefix_, 0u);
  TRY(line.status());
  return out_.append(line.view());
}

// An `$id` below the root changes what the references beside it mean.
Result<void> SchemaCompiler::check_identities() {
  bool refers = false, renamed = false;
  std::span<const json::Node> nodes = root_.nodes();
  std::string_view id = root_.find("$id").text();
  for (usize i = 1; i < nodes.size(); i++) {
    if (nodes[i].kind != json::Kind::kString) continue;
    refers |= nodes[i - 1].text == "$ref";
    renamed |= nodes[i - 1].text == "$id" && nodes[i].text.data() != id.data() &&
               !nodes[i].text.starts_with('#');
  }
  return refers && renamed ? Result<void>(error("$id inside a schema with $ref is not supported"))
                           : Result<void>();
}

// Returns the rule of a set, and compiles it if it is not known yet.
Result<u32> SchemaCompiler::rule_for(const Conditions& set) {
  Vector<u32> key;
  for (const Condition& one : set) TRY(key.push_back(one.key()));
  std::sort(key.begin(), key.end());
  std::string_view bytes{reinterpret_cast<const char*>(key.data()), key.size() * sizeof(u32)};
  TRY(work_.spend(8 + key.size()));
  u32 number = TRY(sets_.add(bytes));
  if (number < set_rules_.size()) return set_rules_[number];
  if (next_rule_ >= kMaxSchemaRules) return error("has too many parts");
  if (depth_ >= kMaxSchemaDepth) return error("is nested too deeply");
  TRY(set_keys_.push_back(std::move(key)));
  u32 rule = new_rule();
  TRY(set_rules_.push_back(rule));
  depth_++;
  GbnfText text;
  bool possible = TRY(body(set, text));
  depth_--;
  if (!possible) {
    // The rule may have been referred to meanwhile. It takes nothing.
    text = GbnfText();
    text.add(" []");
    set_rules_[number] = kNever;
  }
  TRY(emit(rule, text));
  return set_rules_[number];
}

// Writes what a rule takes. Returns false if it takes nothing.
Result<bool> SchemaCompiler::body(const Conditions& set, GbnfText& out) {
  Expanded all;
  TRY(expand(set, all));
  if (all.never) return false;
  if (all.choices.empty()) return leaf(all.plain, out);
  // A `not` inside `not` describes no property for an unevaluated… keyword.
  bool twice = all.choices[0].kind == Kind::kNot && at(all.choices[0].node).find("not").present();
  for (const Condition& one : all.plain)
    if (twice && (one.kind == Kind::kOthers || one.kind == Kind::kMore))
      return error("'not' inside 'not' beside an unevaluated… keyword is not supported");
  Vector<Conditions> branches;
  TRY(alternatives(all.choices[0], branches));
  bool any = false;
  for (const Conditions& branch : branches) {
    Conditions both = TRY(all.plain.clone());
    for (usize i = 1; i < all.choices.size(); i++) TRY(add_once(both, all.choices[i]));
    for (const Condition& one : branch) TRY(add_once(both, one));
    u32 rule = TRY(rule_for(both));
    if (rule == kNever) continue;
    reference(out.add(any ? " |" : ""), rule);
    any = true;
  }
  return any;
}

Result<void> SchemaCompiler::emit(u32 rule, const GbnfText& body) {
  TRY(body.status());
  TRY(check_count("bytes as a grammar", out_.size() + body.view().size(), Grammar::kMaxText));
  char head[96];
  TRY(out_.append(base::format_into(head, "{}-{} ::=", prefix_, rule)));
  TRY(out_.append(body.view()));
  return out_.push_back('\n');
}

Result<void> append_schema_rules(json::Value schema, std::string_view root, String& out,
                                 base::Writer& problem) {
  return SchemaCompiler(schema, root, out, problem).run();
}

Result<String> schema_to_gbnf(json::Value schema, base::Writer& problem) {
  String text = TRY(String::from(kJsonRules));
  TRY(append_schema_rules(schema, "root", text, problem));
  return text;
}

}  // namespace ai
