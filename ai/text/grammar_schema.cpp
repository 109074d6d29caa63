// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles JSON Schema to GBNF: structure such as references, choices and enums. Refuses what
// cannot be enforced.
#include "ai/text/grammar_schema.h"

namespace ai {

// White space is bounded: one blank, or one line break with its indentation where a value or a name
// may stand on a line of its own; one blank after a colon; none after the end.
constinit const std::string_view kJsonRules = R"(
json-space ::= (" " | "\n" [ \t]{0,16})?
json-blank ::= " "?
json-hex ::= [0-9a-fA-F]
json-unicode ::= [0-9abcefABCEF] json-hex{3} | [dD] [0-7] json-hex{2} | [dD] [89abAB] json-hex{2} "\\u" [dD] [c-fC-F] json-hex{2}
json-char ::= [^"\\\x00-\x1f\x7f] | "\\" (["\\/bfnrt] | "u" json-unicode)
json-string ::= "\"" json-char* "\""
json-integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
json-number ::= json-integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?
json-boolean ::= "true" | "false"
json-null ::= "null"
json-member ::= json-string ":" json-blank json-value
json-object ::= "{" json-space (json-member ("," json-space json-member)* json-space)? "}"
json-array ::= "[" json-space (json-value ("," json-space json-value)* json-space)? "]"
json-value ::= json-object | json-array | json-string | json-number | json-boolean | json-null
)";

namespace {

constexpr u32 kMaxSchemaDepth = 96;  // counted through references
constexpr u32 kMaxSchemaRules = 24'000;

// Keywords that describe the value but forbid none, or that are read together with another keyword.
constexpr std::string_view kAnnotations[] = {"title",
                                             "description",
                                             "default",
                                             "examples",
                                             "example",
                                             "$schema",
                                             "$id",
                                             "$comment",
                                             "$defs",
                                             "definitions",
                                             "$anchor",
                                             "deprecated",
                                             "readOnly",
                                             "writeOnly",
                                             "discriminator",
                                             "strict",
                                             "nullable",
                                             "contentEncoding",
                                             "contentMediaType",
                                             "$vocabulary",
                                             "externalDocs",
                                             "xml",
                                             "name"};
constexpr std::string_view kEnforced[] = {
    "type",    "enum",        "const",    "properties", "required",         "additionalProperties",
    "items",   "prefixItems", "minItems", "maxItems",   "minLength",        "maxLength",
    "pattern", "format",      "minimum",  "maximum",    "exclusiveMinimum", "exclusiveMaximum",
    "anyOf",   "oneOf",       "allOf",    "$ref"};
// Keywords that would have to be combined with a choice or a reference beside them.
constexpr std::string_view kStructural[] = {"properties",
                                            "required",
                                            "additionalProperties",
                                            "items",
                                            "prefixItems",
                                            "minItems",
                                            "maxItems",
                                            "minLength",
                                            "maxLength",
                                            "pattern",
                                            "minimum",
                                            "maximum",
                                            "exclusiveMinimum",
                                            "exclusiveMaximum",
                                            "enum",
                                            "const",
                                            "format"};

bool contains(std::span<const std::string_view> list, std::string_view name) {
  for (std::string_view entry : list)
    if (entry == name) return true;
  return false;
}

bool has_structure(json::Value schema) {
  for (json::Member m : schema.members())
    if (contains(kStructural, m.name)) return true;
  return false;
}

// Returns the only value that `property` may have, if its schema says so.
json::Value tag_of(json::Value property) {
  if (property.find("const").present()) return property.find("const");
  json::Value list = property.find("enum");
  return list.size() == 1 ? list.at(0) : json::Value();
}

// The properties that distinguish a branch of oneOf: its type, its only value, and the required
// properties that have only one value.
struct Branch {
  struct Tag {
    u32 name;  // index of the name among all branches' tags
    json::Value value;
  };
  std::string_view type;
  json::Value constant;
  Vector<Tag> tags;

  static Result<Branch> of(json::Value schema, NameIndex& names) {
    Branch branch;
    branch.type = schema.find("type").text();
    branch.constant = schema.find("const");
    NameIndex required;
    for (json::Value name : schema.find("required").elements())
      if (name.is_string()) TRY(required.add(name.text()));
    for (json::Member m : schema.find("properties").members()) {
      json::Value value = tag_of(m.value);
      if (value.present() && required.find(m.name) != NameIndex::kNone)
        TRY(branch.tags.push_back({TRY(names.add(m.name)), value}));
    }
    return branch;
  }
  // Returns true if no value can match both branches. `mine` holds the values of this branch's tags
  // by Tag::name; the entry of a name that this branch does not have is absent.
  bool disjoint(const Branch& other, std::span<const json::Value> mine) const {
    auto numeric = [](std::string_view t) { return t == "integer" || t == "number"; };
    if (!type.empty() && !other.type.empty() && type != other.type)
      return !(numeric(type) && numeric(other.type));
    for (const Tag& tag : other.tags) {
      json::Value value = mine[tag.name];
      bool differs = value.kind() != tag.value.kind() || value.text() != tag.value.text();
      if (value.present() && differs) return true;
    }
    return constant.present() && other.constant.present() &&
           constant.text() != other.constant.text();
  }
};

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
  base::format_to(problem_, "JSON schema: {}", what);
  if (!about.empty()) base::format_to(problem_, " '{}'", about);
  return fail(Errc::kInvalidArgument, what);
}

Result<void> SchemaCompiler::check_count(const char* what, usize have, usize most) {
  if (have <= most) return {};
  base::format_to(problem_, "the JSON schema has {} {}; at most {} are taken", have, what, most);
  return fail(Errc::kInvalidArgument, "the JSON schema is too large");
}

Result<void> SchemaCompiler::run() {
  TRY(check_count("values", root_.node_count(), kMaxSchemaValues));
  TRY(rules_.resize(root_.node_count()));
  u32 root = TRY(rule_for(root_));
  GbnfText line;
  line.add("{} ::= {}-{}\n", prefix_, prefix_, root);
  TRY(line.status());
  return out_.append(line.view());
}

Result<u32> SchemaCompiler::rule_for(json::Value schema) {
  // Every schema that can be reached is part of the root's document.
  u32& known = rules_[static_cast<usize>(schema.node() - root_.node())];
  if (known != 0) return known - 1;
  if (next_rule_ >= kMaxSchemaRules) return error("has too many parts");
  if (depth_ >= kMaxSchemaDepth) return error("is nested too deeply");
  u32 rule = new_rule();
  known = rule + 1;
  depth_++;
  GbnfText text;
  TRY(body(schema, text));
  depth_--;
  TRY(emit(rule, text));
  return rule;
}

Result<void> SchemaCompiler::emit(u32 rule, const GbnfText& body) {
  TRY(body.status());
  TRY(check_count("bytes as a grammar", out_.size() + body.view().size(), Grammar::kMaxText));
  char head[96];
  TRY(out_.append(base::format_into(head, "{}-{} ::=", prefix_, rule)));
  TRY(out_.append(body.view()));
  return out_.push_back('\n');
}

Result<void> SchemaCompiler::check_keywords(json::Value schema) {
  for (json::Member m : schema.members()) {
    if (contains(kAnnotations, m.name) || contains(kEnforced, m.name)) continue;
    if (m.name == "uniqueItems" && m.value.kind() == json::Kind::kFalse) continue;
    return error("unsupported keyword", m.name);
  }
  return {};
}

Result<void> SchemaCompiler::body(json::Value schema, GbnfText& out) {
  if (schema.is_true()) {
    out.add(" json-value");
    return {};
  }
  if (!schema.is_object()) return error("a schema must be an object or true");
  TRY(check_keywords(schema));
  if (schema.find("nullable").is_true()) out.add(" json-null |");
  if (json::Value ref = schema.find("$ref")) {
    if (has_structure(schema)) return error("keywords beside $ref are not supported");
    reference(out, TRY(rule_for(TRY(resolve(ref.text())))));
    return {};
  }
  if (json::Value value = schema.find("const")) return literal_of(value, out);
  if (json::Value list = schema.find("enum")) {
    if (!list.is_array() || list.size() == 0) return error("enum must be a list of values");
    bool first = true;
    for (json::Value value : list.elements()) {
      if (!first) out.add(" |");
      TRY(literal_of(value, out));
      first = false;
    }
    return {};
  }
  for (std::string_view keyword : {"anyOf", "oneOf"}) {
    json::Value list = schema.find(keyword);
    if (!list.present()) continue;
    if (has_structure(schema)) return error("keywords beside a choice are not supported", keyword);
    if (keyword == "oneOf") TRY(check_disjoint(list));
    return choices(list, out);
  }
  if (json::Value list = schema.find("allOf")) {
    Vector<json::Value> parts;
    if (has_structure(schema)) TRY(parts.push_back(schema));
    for (json::Value part : list.elements()) TRY(parts.push_back(TRY(follow(part))));
    if (parts.size() == 1 && !parts[0].same_as(schema)) return body(parts[0], out);
    for (json::Value part : parts) TRY(check_keywords(part));
    for (json::Value part : parts)
      if (TRY(guess_type(part)) != "object") return error("allOf is supported for objects only");
    return object(parts.view(), out);
  }
  json::Value type = schema.find("type");
  if (type.is_array()) {
    bool first = true;
    for (json::Value one : type.elements()) {
      if (!first) out.add(" |");
      TRY(typed(schema, one.text(), out));
      first = false;
    }
    return first ? Result<void>(error("type must not be empty")) : Result<void>();
  }
  return typed(schema, TRY(guess_type(schema)), out);
}

Result<std::string_view> SchemaCompiler::guess_type(json::Value schema) {
  if (schema.find("type").is_string()) return schema.find("type").text();
  if (schema.find("type").present()) return error("type must be a name or a list of names");
  struct Hint {
    std::string_view keyword, type;
  };
  constexpr Hint kHints[] = {
      {"properties", "object"}, {"required", "object"},         {"additionalProperties", "object"},
      {"items", "array"},       {"prefixItems", "array"},       {"minItems", "array"},
      {"maxItems", "array"},    {"pattern", "string"},          {"minLength", "string"},
      {"maxLength", "string"},  {"format", "string"},           {"minimum", "number"},
      {"maximum", "number"},    {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"}};
  for (const Hint& hint : kHints)
    if (schema.find(hint.keyword).present()) return hint.type;
  return "any";
}

Result<void> SchemaCompiler::typed(json::Value schema, std::string_view type, GbnfText& out) {
  if (type == "object") return object({&schema, 1}, out);
  if (type == "array") return array(schema, out);
  if (type == "string") return string(schema, out);
  if (type == "integer") return integer(schema, out);
  if (type == "number") return number(schema, out);
  if (type == "boolean") return out.add(" json-boolean"), Result<void>();
  if (type == "null") return out.add(" json-null"), Result<void>();
  if (type == "any") return out.add(" json-value"), Result<void>();
  return error("unknown type", type);
}

Result<void> SchemaCompiler::choices(json::Value list, GbnfText& out) {
  if (!list.is_array() || list.size() == 0) return error("a choice must be a list of schemas");
  bool first = true;
  for (json::Value one : list.elements()) {
    if (!first) out.add(" |");
    reference(out, TRY(rule_for(one)));
    first = false;
  }
  return {};
}

// oneOf requires that exactly one branch matches. A grammar can guarantee that if no two can match
// together.
Result<void> SchemaCompiler::check_disjoint(json::Value list) {
  TRY(check_count("branches in oneOf", list.size(), kMaxExclusive));
  NameIndex names;
  Vector<Branch> branches;
  for (json::Value one : list.elements())
    TRY(branches.push_back(TRY(Branch::of(TRY(follow(one)), names))));
  Vector<json::Value> mine;
  TRY(mine.resize(names.size()));
  for (usize a = 0; a < branches.size(); a++) {
    for (const Branch::Tag& tag : branches[a].tags) mine[tag.name] = tag.value;
    for (usize b = a + 1; b < branches.size(); b++)
      if (!branches[a].disjoint(branches[b], mine.view()))
        return error("oneOf is supported when its branches exclude each other; use anyOf");
    for (const Branch::Tag& tag : branches[a].tags) mine[tag.name] = {};
  }
  return {};
}

Result<json::Value> SchemaCompiler::follow(json::Value schema) {
  for (u32 i = 0; i < 16; i++) {
    json::Value ref = schema.find("$ref");
    if (!ref.present()) return schema;
    schema = TRY(resolve(ref.text()));
  }
  return error("$ref leads in a circle");
}

// Follows a pointer into this document (RFC 6901 in a fragment).
Result<json::Value> SchemaCompiler::resolve(std::string_view pointer) {
  if (!pointer.starts_with('#')) return error("$ref must point into the same schema:", pointer);
  std::string_view rest = pointer.substr(1);
  json::Value at = root_;
  while (rest.starts_with('/')) {
    rest.remove_prefix(1);
    std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(part.size());
    char name[256];
    usize length = 0;
    for (usize i = 0; i < part.size() && length < sizeof name; i++) {
      bool escape = part[i] == '~' && i + 1 < part.size();
      name[length++] = escape ? (part[++i] == '0' ? '~' : '/') : part[i];
    }
    std::string_view key(name, length);
    if (at.is_array()) {
      u32 index = 0;
      for (char c : key)
        index = c >= '0' && c <= '9' && index < 100'000 ? index * 10 + static_cast<u32>(c - '0')
                                                        : kNoCount / 16;
      at = at.at(index);
    } else {
      at = at.find(key);
    }
    if (!at.present()) return error("$ref leads nowhere:", pointer);
  }
  if (!rest.empty()) return error("$ref leads nowhere:", pointer);
  return at;
}

Result<void> SchemaCompiler::literal_of(json::Value value, GbnfText& out) {
  String text;
  base::StringWriter sink(text);
  json::Writer(sink).value(value);
  TRY(sink.status());
  out.add(" ");
  out.literal(text.view());
  return {};
}

Result<u32> SchemaCompiler::count(json::Value schema, std::string_view keyword, u32 absent) {
  json::Value value = schema.find(keyword);
  if (!value.present()) return absent;
  i64 n = value.integer().value_or(-1);
  if (n < 0 || n > 100'000) return error("a count must be a whole number up to 100000:", keyword);
  return static_cast<u32>(n);
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
