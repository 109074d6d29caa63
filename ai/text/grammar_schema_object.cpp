// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles JSON Schema to GBNF: objects. Properties keep the schema's order.
#include <algorithm>

#include "ai/text/grammar_schema.h"

namespace ai {
namespace {

constexpr u32 kMaxKeyPatterns = 6;      // of one object; each combination is a kind of property
constexpr u32 kMaxLookDepth = 8;        // through allOf and $ref
constexpr usize kMaxChain = 32 * 1024;  // properties times counts

json::Value name_of(json::Value member) {
  return json::Value(member.node() - 1, 0);
}

}  // namespace

// ---- one property ---------------------------------------------------------------------------

Result<const SchemaCompiler::KeyPattern*> SchemaCompiler::key_pattern(json::Value pattern) {
  for (const base::Owner<KeyPattern>& known : key_patterns_)
    if (known->text == pattern.text()) return known.get();
  TextAutomaton sure = TRY(pattern_texts(pattern, Reading::kNarrow));
  TextAutomaton wide = TRY(pattern_texts(pattern, Reading::kWide));
  TextAutomaton never = TRY(wide.complement(work_));
  TRY(key_patterns_.push_back(
      TRY(base::make<KeyPattern>(pattern.text(), std::move(sure), std::move(never)))));
  return key_patterns_.back().get();
}

// Collects what the set says of the property. Returns false if it must be absent.
Result<bool> SchemaCompiler::property_set(const Conditions& set, std::string_view name,
                                          Conditions& out) {
  bool evaluated = false;
  json::Node text{.kind = json::Kind::kString, .count = 0, .end = 0, .text = name};
  for (const Condition& one : set) {
    json::Value there = at(one.node);
    if (one.kind == Kind::kForbidden && there.text() == name) return false;
    if (one.kind == Kind::kBrokenIn && at(one.node - 1).text() == name)
      TRY(add_once(out, {Kind::kNot, one.node}));
    if (one.kind != Kind::kLeaf) continue;
    TRY(work_.spend(4));
    json::Value known = there.find("properties").find(name);
    if (known.present()) TRY(add_once(out, {Kind::kSchema, node_of(known)}));
    bool mine = known.present();
    for (json::Member row : there.find("patternProperties").members()) {
      const KeyPattern& pattern = *TRY(key_pattern(name_of(row.value)));
      if (pattern.never.accepts(name)) continue;
      TRY(add_once(out, {Kind::kSchema, node_of(row.value)}));
      // Where readers disagree, the value meets both what they may require.
      mine |= pattern.sure.accepts(name);
    }
    json::Value rest = rest_of(there, set);
    bool local = !there.find("additionalProperties").present();
    bool counts = !mine && rest.present() && !(local && describes(there, name, 0));
    if (counts) TRY(add_once(out, {Kind::kSchema, node_of(rest)}));
    evaluated |= mine || rest.present();
    json::Value names = there.find("propertyNames");
    if (names.present() && !TRY(about(check_.holds(names, json::Value(&text, 0)), check_.about())))
      return false;
  }
  for (const Condition& one : set)
    if (one.kind == Kind::kOthers && !evaluated && looking_ == 0)
      TRY(add_once(out, {Kind::kSchema, one.node}));
  return std::none_of(out.begin(), out.end(), [&](const Condition& one) {
    return one.kind == Kind::kSchema && at(one.node).kind() == json::Kind::kFalse;
  });
}

// Does the schema, or one that always holds with it, describe a property of that name?
bool SchemaCompiler::describes(json::Value schema, std::string_view name, u32 depth) {
  if (depth == kMaxLookDepth) return false;
  if (schema.find("properties").find(name).present()) return true;
  for (json::Value part : schema.find("allOf").elements())
    if (describes(part, name, depth + 1)) return true;
  json::Value ref = schema.find("$ref");
  Result<json::Value> to = ref.present() ? check_.resolve(ref.text()) : Result<json::Value>(schema);
  return ref.present() && to.has_value() && describes(*to, name, depth + 1);
}

// Returns what a leaf says of properties that it does not describe. Without the whole set,
// `unevaluatedProperties` is taken to mean all properties that this leaf does not describe.
json::Value SchemaCompiler::rest_of(json::Value leaf, const Conditions& set) {
  json::Value rest = leaf.find("additionalProperties");
  if (rest.present() || looking_ > 0) return rest;
  rest = leaf.find("unevaluatedProperties");
  if (!rest.present()) return rest;
  u32 node = node_of(rest);
  bool whole = std::any_of(set.begin(), set.end(), [&](const Condition& one) {
    return one.kind == Kind::kOthers && one.node == node;
  });
  return whole ? json::Value() : rest;
}

// ---- all properties -------------------------------------------------------------------------

// Returns false if a property is required that must be absent.
Result<bool> SchemaCompiler::collect_properties(const Conditions& set, ObjectRules& rules) {
  NameIndex known, required;
  usize described = 0, needed = 0;
  for (const Condition& one : set) {
    if (one.kind != Kind::kLeaf) continue;
    described += at(one.node).find("properties").size();
    needed += at(one.node).find("required").size();
  }
  TRY(check_count("properties", described, kMaxProperties));
  TRY(check_count("required properties", needed, kMaxProperties));
  for (const Condition& one : set) {
    if (one.kind == Kind::kNeeded) TRY(required.add(at(one.node).text()));
    if (one.kind != Kind::kLeaf) continue;
    json::Value properties = at(one.node).find("properties"), list = at(one.node).find("required");
    if (properties.present() && !properties.is_object())
      return error("properties must be an object");
    for (json::Member m : properties.members()) TRY(known.add(m.name));
    for (json::Value name : list.elements())
      if (name.is_string()) TRY(required.add(name.text()));
  }
  for (u32 i = 0; i < required.size(); i++) TRY(known.add(required[i]));
  Vector<json::Value> names;
  TRY(listed_values(TRY(names_set(set)), names));
  for (json::Value name : names)
    if (name.is_string()) TRY(known.add(name.text()));
  TRY(check_count("properties", known.size(), kMaxProperties));
  for (u32 i = 0; i < known.size(); i++) {
    Property p{known[i], required.find(known[i]) != NameIndex::kNone, kNever};
    Conditions value;
    if (TRY(property_set(set, p.name, value))) p.rule = TRY(rule_for(value));
    if (p.required && p.rule == kNever) {
      contradiction("a required property is excluded by other keywords:", p.name);
      return false;
    }
    TRY(rules.list.push_back(p));
  }
  return true;
}

Result<bool> SchemaCompiler::object(const Conditions& set, GbnfText& out) {
  ObjectRules rules;
  TRY(counts(set, "minProperties", "maxProperties", rules.least, rules.most));
  if (rules.least > rules.most || !TRY(collect_properties(set, rules))) return false;
  bool speaks = !rules.list.empty(), forbids = false;
  for (const Condition& one : set) {
    if (one.kind == Kind::kOthers) speaks = true;
    forbids |= one.kind == Kind::kForbidden;
    if (one.kind != Kind::kLeaf) continue;
    for (const char* keyword : {"additionalProperties", "unevaluatedProperties"})
      if (json::Value rest = at(one.node).find(keyword); rest.present())
        speaks = true, rules.open |= rest.kind() != json::Kind::kFalse;
    for (const char* keyword : {"patternProperties", "propertyNames"})
      if (at(one.node).find(keyword).present()) speaks = rules.open = true;
  }
  // An object of which nothing is said but what it must not have is open.
  if (!speaks && forbids) speaks = rules.open = true;
  if (!speaks && rules.least == 0 && rules.most == kNoCount) {
    out.add(" json-object");
    return true;
  }
  u32 others = kNever;
  if (rules.open || !speaks) {
    GbnfText text;
    bool any = speaks ? TRY(other_pairs(set, rules, text)) : true;
    if (!speaks) text.add(" json-member");
    if (any) {
      others = new_rule();
      TRY(emit(others, text));
    }
  }
  u32 first = TRY(chain(rules, others));
  if (first == kNever) return false;
  out.add(" \"{{\" json-space {}-{} json-space \"}\"", prefix_, first);
  return true;
}

// ---- properties that have no name in the schema -----------------------------------------------

// Returns what the names of properties must meet.
Result<Conditions> SchemaCompiler::names_set(const Conditions& set) {
  Conditions named;
  for (const Condition& one : set)
    if (one.kind == Kind::kLeaf)
      if (json::Value names = at(one.node).find("propertyNames"))
        TRY(add_once(named, {Kind::kSchema, node_of(names)}));
  return named;
}

// Returns the names that propertyNames allows, without those that the schema has.
Result<TextAutomaton> SchemaCompiler::other_names(const Conditions& set, const ObjectRules& rules) {
  Expanded all;
  TRY(expand(TRY(names_set(set)), all));
  if (!all.choices.empty()) return error("a choice in propertyNames is not supported");
  bool listed = false, bound = false;
  GbnfText unused;
  TRY(values(all.plain, listed, unused));
  Vector<std::string_view> known;
  // Listed names are all known by now.
  if (listed || all.never || (TRY(types_of(all.plain, false)) & kTypeString) == 0)
    return TextAutomaton::of_words(known.view(), work_);
  TextAutomaton names = TRY(string_texts(all.plain, Reading::kNarrow, bound));
  u32 least = 0, most = kNoCount;
  TRY(counts(all.plain, "minLength", "maxLength", least, most));
  if (least > most) return TextAutomaton::of_words(known.view(), work_);
  TRY(limit_length(names, least, most));
  for (const Property& p : rules.list) TRY(known.push_back(p.name));
  for (const Condition& one : set)
    if (one.kind == Kind::kForbidden) TRY(known.push_back(at(one.node).text()));
  TextAutomaton words = TRY(TextAutomaton::of_words(known.view(), work_));
  return TextAutomaton::both(names, TRY(words.complement(work_)), work_);
}

// Writes the "name": value pairs whose name the schema does not have. Names that the same patterns
// match have the same values.
Result<bool> SchemaCompiler::other_pairs(const Conditions& set, const ObjectRules& rules,
                                         GbnfText& out) {
  struct Row {
    u32 leaf;  // node of the leaf that has the pattern
    json::Value schema;
  };
  Vector<Row> rows;
  bool said = false;  // some keyword speaks of names that no pattern matches
  for (const Condition& one : set) {
    said |= one.kind == Kind::kOthers;
    if (one.kind != Kind::kLeaf) continue;
    json::Value there = at(one.node);
    said |= there.find("propertyNames").present() || rest_of(there, set).present();
    for (json::Member row : there.find("patternProperties").members())
      TRY(rows.push_back({one.node, row.value}));
  }
  // Such names are left out if nothing is said of them, but not if nothing else is said either.
  bool unmatched = said || (rows.empty() && rules.list.empty());
  if (rows.size() > kMaxKeyPatterns) return error("has more than 6 patternProperties together");
  TextAutomaton names = TRY(other_names(set, rules));
  bool any = false;
  for (u32 mask = unmatched ? 0 : 1; mask < 1u << rows.size(); mask++) {
    TextAutomaton these = TRY(names.clone());
    Conditions value;
    bool evaluated = false;
    for (u32 i = 0; i < rows.size(); i++) {
      const KeyPattern& pattern = *TRY(key_pattern(name_of(rows[i].schema)));
      bool matched = (mask >> i & 1) != 0;
      these = TRY(TextAutomaton::both(these, matched ? pattern.sure : pattern.never, work_));
      if (matched) TRY(add_once(value, {Kind::kSchema, node_of(rows[i].schema)}));
    }
    if (these.empty()) continue;
    for (const Condition& one : set) {
      if (one.kind != Kind::kLeaf) continue;
      bool mine = false;
      for (u32 i = 0; i < rows.size(); i++)
        mine |= rows[i].leaf == one.node && (mask >> i & 1) != 0;
      json::Value rest = rest_of(at(one.node), set);
      if (!mine && rest.present()) TRY(add_once(value, {Kind::kSchema, node_of(rest)}));
      evaluated |= mine || rest.present();
    }
    for (const Condition& one : set)
      if (one.kind == Kind::kOthers && !evaluated) TRY(add_once(value, {Kind::kSchema, one.node}));
    u32 rule = TRY(rule_for(value));
    if (rule == kNever) continue;
    char end[128];
    u32 pair = TRY(automaton_rule(
        these, base::format_into(end, "\"\\\":\" json-blank {}-{}", prefix_, rule), true));
    reference(out.add(any ? " | \"\\\"\"" : " \"\\\"\""), pair);
    any = true;
  }
  return any;
}

// ---- the sequence ---------------------------------------------------------------------------

// Writes the rules for what may follow the first i properties of the list if c properties were
// written, and returns the first one. The commas are right whichever properties are left out. c
// stops at the largest count that makes a difference, which is 1 in most schemas.
Result<u32> SchemaCompiler::chain(ObjectRules& rules, u32 others) {
  u32 required = 0, possible = 0;
  for (const Property& p : rules.list) {
    required += p.required;
    possible += p.rule != kNever;
  }
  if (required > rules.most || (others == kNever && possible < rules.least)) {
    contradiction("minProperties or maxProperties does not fit the properties");
    return kNever;
  }
  if (others == kNever && rules.most >= possible) rules.most = kNoCount;
  u32 counts = std::max({1u, rules.least, rules.most == kNoCount ? 0 : rules.most});
  if ((rules.list.size() + 1) * counts > kMaxChain)
    return error("minProperties or maxProperties is too large beside so many properties");
  Vector<u32> next;
  for (u32 c = 0; c <= counts; c++) TRY(next.push_back(TRY(chain_end(rules, others, c))));
  for (usize i = rules.list.size(); i-- > 0;) {
    const Property& p = rules.list[i];
    if (p.rule == kNever) continue;
    String name;
    base::StringWriter sink(name);
    json::Writer(sink).value(p.name);
    TRY(sink.status());
    GbnfText pair;
    pair.add(" ").literal(name.view()).add(" \":\" json-blank");
    reference(pair, p.rule);
    u32 pair_rule = new_rule();
    TRY(emit(pair_rule, pair));
    Vector<u32> here;
    for (u32 c = 0; c <= counts; c++) {
      GbnfText text;
      if (c < rules.most) {
        text.add("{} {}-{}", c == 0 ? "" : " \",\" json-space", prefix_, pair_rule);
        reference(text, next[std::min(c + 1, counts)]);
      }
      if (!p.required) reference(text.add(c < rules.most ? " |" : ""), next[c]);
      if (p.required && c >= rules.most) text.add(" []");
      TRY(here.push_back(new_rule()));
      TRY(emit(here.back(), text));
    }
    next = std::move(here);
  }
  return next[0];
}

// Writes the rule for the end of an object with c properties so far: others may follow. Two others
// may have the same name and then count as one, so only one is counted for minProperties.
Result<u32> SchemaCompiler::chain_end(const ObjectRules& rules, u32 others, u32 c) {
  GbnfText text;
  bool ends = c >= rules.least;
  if (ends) text.add(" \"\"");
  bool more = others != kNever && c < rules.most && c + 1 >= rules.least;
  if (more) {
    text.add("{}{}", ends ? " |" : "", c == 0 ? "" : " \",\" json-space");
    reference(text, others).add(" (\",\" json-space");
    reference(text, others).add(")");
    if (rules.most == kNoCount)
      text.add("*");
    else
      text.add("{{0,{}}", rules.most - c - 1);
  }
  if (!ends && !more) text.add(" []");
  u32 rule = new_rule();
  TRY(emit(rule, text));
  return rule;
}

}  // namespace ai
