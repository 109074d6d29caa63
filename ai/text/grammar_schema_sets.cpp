// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles JSON Schema to GBNF: what a schema adds to a set of conditions, and into which sets the
// choices (anyOf, oneOf, if, not, dependencies) split it.
#include <algorithm>

#include "ai/text/grammar_schema.h"

namespace ai {
namespace {

constexpr usize kMaxConditions = 256;  // of one set
constexpr u32 kMaxLookDepth = 6;       // of the search for contradictions

// Keywords that refer, choose, or are read by expand_schema() itself.
constexpr std::string_view kApplied[] = {"$ref",
                                         "allOf",
                                         "anyOf",
                                         "oneOf",
                                         "if",
                                         "then",
                                         "else",
                                         "not",
                                         "nullable",
                                         "dependencies",
                                         "dependentRequired",
                                         "dependentSchemas"};

bool is_applied(std::string_view name) {
  return std::find(std::begin(kApplied), std::end(kApplied), name) != std::end(kApplied);
}

}  // namespace

Result<void> SchemaCompiler::add_once(Conditions& list, Condition one) {
  for (const Condition& other : list)
    if (other.key() == one.key()) return {};
  TRY(work_.spend(1 + list.size() / 4));
  if (list.size() == kMaxConditions) return error("combines more than 256 schemas");
  return list.push_back(one);
}

Result<void> SchemaCompiler::check_keywords(json::Value schema) {
  for (json::Member m : schema.members())
    if (keyword_use(m.name) == KeywordUse::kRefused) return error("unsupported keyword", m.name);
  return {};
}

// Replaces schemas by their keywords. Conditions that are expanded already stay as they are.
Result<void> SchemaCompiler::expand(const Conditions& set, Expanded& out) {
  for (const Condition& one : set) TRY(expand_one(one, out, set.size() == 1));
  return {};
}

Result<void> SchemaCompiler::expand_one(Condition one, Expanded& out, bool alone) {
  switch (one.kind) {
    case Kind::kSchema:
      if (at(one.node).find("nullable").is_true())
        return add_once(out.choices, {Kind::kNullable, one.node});
      return expand_schema(at(one.node), out, alone);
    case Kind::kPlain:
      return expand_schema(at(one.node), out, alone);
    case Kind::kNot:
      return expand_not(at(one.node), out);
    case Kind::kAnyOf:
    case Kind::kOneOf:
    case Kind::kIf:
    case Kind::kDepends:
    case Kind::kNullable:
      return add_once(out.choices, one);
    default:
      return add_once(out.plain, one);
  }
}

// `alone`: no condition but this schema's own belongs to the set, so that `unevaluated…` sees all.
Result<void> SchemaCompiler::expand_schema(json::Value schema, Expanded& out, bool alone) {
  if (schema.is_true()) return {};
  if (schema.kind() == json::Kind::kFalse) {
    contradiction("false stands where a value is needed");
    out.never = true;
    return {};
  }
  if (!schema.is_object()) return error("a schema must be an object, true or false");
  u32 node = node_of(schema);
  if (std::find(in_place_.begin(), in_place_.end(), node) != in_place_.end())
    return error("$ref leads in a circle");
  if (in_place_.size() == kMaxConditions) return error("is nested too deeply");
  TRY(in_place_.push_back(node));
  TRY(work_.spend(4 + schema.size()));
  TRY(check_keywords(schema));
  bool has_leaf = false;
  for (json::Member m : schema.members())
    has_leaf |= !is_applied(m.name) && keyword_use(m.name) == KeywordUse::kEnforced;
  if (has_leaf) TRY(add_once(out.plain, {Kind::kLeaf, node}));
  for (auto [keyword, kind] : {std::pair("unevaluatedProperties", Kind::kOthers),
                               std::pair("unevaluatedItems", Kind::kMore)})
    if (json::Value rest = schema.find(keyword); rest.present() && alone)
      TRY(add_once(out.plain, {kind, node_of(rest)}));
  if (json::Value ref = schema.find("$ref")) {
    if (!ref.is_string()) return error("$ref must be a string");
    json::Value to = TRY(about(check_.resolve(ref.text()), ref.text()));
    bool only = alone && schema.size() == 1;
    TRY(expand_one({Kind::kSchema, node_of(to)}, out, only));
  }
  if (json::Value list = schema.find("allOf")) {
    if (!list.is_array()) return error("allOf must be a list of schemas");
    for (json::Value part : list.elements())
      TRY(expand_one({Kind::kSchema, node_of(part)}, out, false));
  }
  for (auto [keyword, kind] :
       {std::pair("anyOf", Kind::kAnyOf), std::pair("oneOf", Kind::kOneOf)}) {
    json::Value list = schema.find(keyword);
    if (!list.present()) continue;
    if (!list.is_array() || list.size() == 0) return error("must be a list of schemas:", keyword);
    TRY(add_once(out.choices, {kind, node_of(list)}));
  }
  if (schema.find("if").present() &&
      (schema.find("then").present() || schema.find("else").present()))
    TRY(add_once(out.choices, {Kind::kIf, node}));
  if (json::Value no = schema.find("not")) TRY(expand_not(no, out));
  for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"})
    for (json::Member m : schema.find(keyword).members())
      TRY(add_once(out.choices, {Kind::kDepends, node_of(m.value)}));
  in_place_.pop_back();
  return {};
}

Result<void> SchemaCompiler::expand_not(json::Value schema, Expanded& out) {
  if (schema.kind() == json::Kind::kFalse) return {};
  if (schema.is_true()) {
    contradiction("'not' excludes every value");
    out.never = true;
    return {};
  }
  if (!schema.is_object()) return error("a schema must be an object, true or false");
  return add_once(out.choices, {Kind::kNot, node_of(schema)});
}

// Lists the sets of which one must be met.
Result<void> SchemaCompiler::alternatives(Condition choice, Vector<Conditions>& out) {
  auto add = [&](std::initializer_list<Condition> list) -> Result<void> {
    Conditions set;
    for (Condition one : list) TRY(set.push_back(one));
    return out.push_back(std::move(set));
  };
  json::Value value = at(choice.node);
  switch (choice.kind) {
    case Kind::kAnyOf:
      for (json::Value one : value.elements()) TRY(add({{Kind::kSchema, node_of(one)}}));
      return {};
    case Kind::kOneOf:
      return one_of(value, out);
    case Kind::kIf: {
      u32 condition = node_of(value.find("if"));
      json::Value then = value.find("then"), other = value.find("else");
      Condition yes{Kind::kSchema, condition}, no{Kind::kNot, condition};
      TRY(add({yes, then.present() ? Condition{Kind::kSchema, node_of(then)} : yes}));
      return add({no, other.present() ? Condition{Kind::kSchema, node_of(other)} : no});
    }
    case Kind::kDepends: {
      // The name stands before its value.
      Condition name{Kind::kNeeded, choice.node - 1};
      TRY(add({{Kind::kForbidden, choice.node - 1}}));
      if (!value.is_array()) return add({name, {Kind::kSchema, choice.node}});
      TRY(add({name}));
      for (json::Value one : value.elements())
        TRY(out.back().push_back({Kind::kNeeded, node_of(one)}));
      return {};
    }
    case Kind::kNullable:
      TRY(add({{Kind::kNull, choice.node}}));
      return add({{Kind::kPlain, choice.node}});
    default:
      return violations(value, out);
  }
}

// oneOf requires that exactly one branch holds. A branch that may hold together with others is
// restricted to the values for which they do not.
Result<void> SchemaCompiler::one_of(json::Value list, Vector<Conditions>& out) {
  TRY(check_count("branches in oneOf", list.size(), kMaxExclusive));
  Vector<SchemaTypes> types;
  for (json::Value one : list.elements()) {
    Conditions set;
    TRY(set.push_back({Kind::kSchema, node_of(one)}));
    TRY(out.push_back(TRY(set.clone())));
    Expanded all;
    TRY(expand(set, all));
    TRY(types.push_back(all.choices.empty() ? TRY(types_of(all.plain, true)) : kTypeAny));
  }
  u32 a = 0;
  for (json::Value one : list.elements()) {
    u32 b = 0;
    for (json::Value other : list.elements()) {
      if (b >= a) break;
      Conditions both;
      TRY(both.push_back({Kind::kSchema, node_of(one)}));
      TRY(both.push_back({Kind::kSchema, node_of(other)}));
      if (!TRY(impossible(both, types[a] | types[b], 0))) {
        TRY(out[a].push_back({Kind::kNot, node_of(other)}));
        TRY(out[b].push_back({Kind::kNot, node_of(one)}));
      }
      b++;
    }
    a++;
  }
  return {};
}

// Lists the ways in which a value can fail to meet a schema. Each is certain; ways that no rule can
// express are left out, if there are others.
Result<void> SchemaCompiler::violations(json::Value schema, Vector<Conditions>& out) {
  auto add = [&](std::initializer_list<Condition> list) -> Result<void> {
    Conditions set;
    for (Condition one : list) TRY(set.push_back(one));
    return out.push_back(std::move(set));
  };
  TRY(check_keywords(schema));
  if (schema.find("nullable").is_true() || schema.find("exclusiveMinimum").is_bool() ||
      schema.find("exclusiveMaximum").is_bool())
    return error("'not' is not supported with 'nullable' or a boolean 'exclusiveMinimum'");
  std::string_view left_out;
  for (json::Member m : schema.members()) {
    if (keyword_use(m.name) != KeywordUse::kEnforced) continue;
    u32 node = node_of(m.value);
    if (m.name == "$ref") {
      TRY(add({{Kind::kNot, node_of(TRY(about(check_.resolve(m.value.text()), m.value.text())))}}));
    } else if (m.name == "allOf") {
      for (json::Value one : m.value.elements()) TRY(add({{Kind::kNot, node_of(one)}}));
    } else if (m.name == "anyOf") {
      TRY(add({}));
      for (json::Value one : m.value.elements())
        TRY(out.back().push_back({Kind::kNot, node_of(one)}));
    } else if (m.name == "not") {
      TRY(add({{Kind::kSchema, node}}));
    } else if (m.name == "required") {
      for (json::Value one : m.value.elements())
        TRY(add({{Kind::kForbidden, node_of(one)}, {Kind::kIsObject, 0}}));
    } else if (m.name == "properties") {
      for (json::Member one : m.value.members())
        TRY(add({{Kind::kNeeded, node_of(one.value) - 1},
                 {Kind::kBrokenIn, node_of(one.value)},
                 {Kind::kIsObject, 0}}));
    } else if (may_break(m.name)) {
      TRY(add({{Kind::kBroken, node}}));
    } else {
      left_out = m.name;
    }
  }
  if (out.empty() && !left_out.empty()) return error("'not' is not supported with", left_out);
  return {};
}

// Can a rule express that the keyword does not hold?
bool SchemaCompiler::may_break(std::string_view keyword) {
  constexpr std::string_view kBreakable[] = {"type",
                                             "const",
                                             "enum",
                                             "pattern",
                                             "minLength",
                                             "maxLength",
                                             "minItems",
                                             "maxItems",
                                             "minimum",
                                             "maximum",
                                             "minProperties",
                                             "maxProperties",
                                             "exclusiveMinimum",
                                             "exclusiveMaximum"};
  return std::find(std::begin(kBreakable), std::end(kBreakable), keyword) != std::end(kBreakable);
}

// ---- contradictions -------------------------------------------------------------------------

// Returns true if no value of the given types meets the set. May return false for want of proof.
Result<bool> SchemaCompiler::impossible(const Conditions& set, SchemaTypes types, u32 depth) {
  if (depth == kMaxLookDepth) return false;
  Expanded all;
  looking_++;
  TRY(expand(set, all));
  bool none =
      all.never || TRY(impossible_leaf(all.plain, TRY(types_of(all.plain, false)) & types, depth));
  looking_--;
  return none;
}

Result<bool> SchemaCompiler::impossible_leaf(const Conditions& set, SchemaTypes types, u32 depth) {
  if (types == 0) return true;
  bool listed = false;
  GbnfText unused;
  if (!TRY(values(set, listed, unused)) && listed) return true;
  if (types == kTypeString) {
    TextAutomaton texts = TRY(string_texts(set, Reading::kWide, listed));
    u32 least = 0, most = kNoCount;
    TRY(counts(set, "minLength", "maxLength", least, most));
    if (listed && least <= most) TRY(limit_length(texts, least, most));
    return least > most || texts.empty();
  }
  if ((types & ~kTypeNumber) == 0) {
    Vector<ExactDecimal> steps;
    NumberRules rules = TRY(number_rules(set, types, steps));
    return (!rules.free() || !steps.empty()) && TRY(number_texts(rules, steps)).empty();
  }
  if (types != kTypeObject) return false;
  for (const Condition& one : set) {
    if (one.kind != Kind::kLeaf) continue;
    for (json::Value name : at(one.node).find("required").elements()) {
      Conditions value;
      if (!TRY(property_set(set, name.text(), value))) return true;
      if (TRY(impossible(value, kTypeAny, depth + 1))) return true;
    }
  }
  return false;
}

}  // namespace ai
