// SPDX-License-Identifier: GPL-2.0-or-later
// The internals of the JSON Schema compiler: one class, implemented in grammar_schema*.cpp.
//
// The unit of work is a set of conditions that a value must meet together. `allOf` and `$ref` add
// conditions to a set, `anyOf` splits it into one set for each branch, and a property's set is
// collected from all conditions that speak of the property. Each set becomes one rule. A set that
// nothing can meet becomes kNever, which its users leave out or pass on.
#pragma once

#include "ai/text/grammar.h"
#include "ai/text/name_index.h"
#include "ai/text/number_automaton.h"
#include "ai/text/schema_check.h"
#include "ai/text/text_automaton.h"

namespace ai {

// Limits of one schema. Each is checked before any work for it is done; within them, the work is
// proportional to the schema and the resulting grammar.
constexpr u32 kMaxSchemaValues = 128 * 1024;  // values and members' names
constexpr u32 kMaxProperties = 4096;          // of one object
constexpr u32 kMaxExclusive = 256;  // branches of one oneOf; each is compared with every other
constexpr usize kMaxPattern = 16 * 1024;  // bytes
constexpr u64 kSchemaWork = 3'000'000;    // steps
constexpr u32 kMaxSchemaRules = 24'000;
constexpr u32 kNoCount = ~u32{0};

// Appends GBNF text and keeps the first failed growth. Text beyond the limit of a grammar is
// dropped, because such a grammar is refused anyway.
class GbnfText final : public base::Writer {
 public:
  void write(std::string_view text) override {
    if (status_.has_value() && text_.size() <= Grammar::kMaxText) status_ = text_.append(text);
  }
  template <class... Args>
  GbnfText& add(std::string_view format, const Args&... args) {
    base::format_to(*this, format, args...);
    return *this;
  }
  // Appends `text` as a GBNF literal in quotes.
  GbnfText& literal(std::string_view text);
  std::string_view view() const { return text_.view(); }
  Result<void> status() const { return status_; }

 private:
  String text_;
  Result<void> status_;
};

// A bit set of types. A number is whole or not.
using SchemaTypes = u32;
constexpr SchemaTypes kTypeNull = 1, kTypeBoolean = 2, kTypeObject = 4, kTypeArray = 8,
                      kTypeString = 16, kTypeWhole = 32, kTypeFraction = 64, kTypeNumber = 96,
                      kTypeAny = 127;

// One condition. `node` is a place in the document.
struct Condition {
  enum class Kind : u8 {
    kSchema,     // the schema there
    kPlain,      // the schema there, without its `nullable`
    kLeaf,       // only the keywords of the schema there that neither refer nor choose
    kAnyOf,      // one of the list there
    kOneOf,      // exactly one of the list there
    kIf,         // `if`, `then` and `else` of the schema there
    kDepends,    // the member there of dependentRequired and the like: its value's node
    kNullable,   // null, or the schema there
    kNot,        // the schema there does not hold
    kBroken,     // the keyword whose value is there does not hold
    kNull,       // the value is null
    kForbidden,  // a property with the name there is absent
    kNeeded,     // a property with the name there is present
    kOthers,     // unevaluatedProperties there, for the whole set
    kMore,       // unevaluatedItems there, for the whole set
    kIsObject,   // the value is an object
    kBrokenIn,   // the property whose schema is there does not meet it
  };
  Kind kind;
  u32 node;
  u32 key() const { return node << 5 | static_cast<u32>(kind); }
};
using Conditions = Vector<Condition>;

class SchemaCompiler {
 public:
  SchemaCompiler(json::Value root, std::string_view prefix, String& out, base::Writer& problem)
      : root_(root), prefix_(prefix), out_(out), problem_(problem), check_(root, work_) {}

  Result<void> run();

 private:
  using Kind = Condition::Kind;
  static constexpr u32 kNever = ~u32{0};  // instead of a rule: no value meets the conditions
  // How to read what readers disagree about: kNarrow for what is written, kWide for proofs that
  // nothing can be written.
  enum class Reading : u8 { kNarrow, kWide };

  struct Property {
    std::string_view name;
    bool required;
    u32 rule;  // kNever: it must be absent
  };
  // The rules that all conditions on an object make together.
  struct ObjectRules {
    Vector<Property> list;
    bool open = false;  // some condition allows properties that have no name in the schema
    u32 least = 0, most = kNoCount;
  };
  struct ArrayRules {
    Vector<u32> front;  // rules of the first items
    u32 rest = kNever;  // the rule of the others, if there may be any
    u32 least = 0, most = kNoCount;
    bool distinct = false;  // items must differ
    json::Value contains;   // the leaf that has `contains`
  };
  struct KeyPattern {
    std::string_view text;
    TextAutomaton sure, never;  // the names that all readers match, and that none does
  };
  // An automaton that is being written.
  struct AutomatonText {
    const TextAutomaton& automaton;
    std::string_view end;
    bool escaped;
    Vector<u32> ways_in, rules;  // of each node; a rule's number + 1, 0 = none yet
    Vector<u32>* todo = nullptr;
  };

  // ---- grammar_schema.cpp: rules and sets
  std::unexpected<Error> error(const char* what, std::string_view about = {});
  // Adds to a failure what it is about.
  template <class T>
  Result<T> about(Result<T> result, std::string_view what) {
    if (!result.has_value() && result.error().code != Errc::kOutOfMemory)
      return error(result.error().what, what);
    return result;
  }
  // Keeps the reason for the first set that no value meets.
  void contradiction(const char* what, std::string_view about = {});
  // Fails with, for example, "the schema has 80000 properties; at most 4096 are taken".
  Result<void> check_count(const char* what, usize have, usize most);
  json::Value at(u32 node) const { return json::Value(root_.node() - base_, base_ + node); }
  u32 node_of(json::Value value) const { return static_cast<u32>(value.node() - root_.node()); }
  Result<u32> rule_for(const Conditions& set);
  Result<bool> body(const Conditions& set, GbnfText& out);
  Result<void> check_identities();
  Result<void> emit(u32 rule, const GbnfText& body);
  u32 new_rule() { return next_rule_++; }
  GbnfText& reference(GbnfText& out, u32 rule) { return out.add(" {}-{}", prefix_, rule); }

  // ---- grammar_schema_sets.cpp: what a schema adds to a set, and choices
  struct Expanded {
    Conditions plain, choices;
    bool never = false;
  };
  Result<void> check_keywords(json::Value schema);
  Result<void> expand(const Conditions& set, Expanded& out);
  Result<void> expand_one(Condition one, Expanded& out, bool alone);
  Result<void> expand_schema(json::Value schema, Expanded& out, bool alone);
  Result<void> expand_not(json::Value schema, Expanded& out);
  Result<void> add_once(Conditions& list, Condition one);
  Result<void> alternatives(Condition choice, Vector<Conditions>& out);
  Result<void> one_of(json::Value list, Vector<Conditions>& out);
  Result<void> violations(json::Value schema, Vector<Conditions>& out);
  static bool may_break(std::string_view keyword);
  Result<bool> impossible(const Conditions& set, SchemaTypes types, u32 depth);
  Result<bool> impossible_leaf(const Conditions& set, SchemaTypes types, u32 depth);

  // ---- grammar_schema_leaf.cpp: a set without choices. A bool is false if nothing meets the set
  Result<bool> leaf(const Conditions& set, GbnfText& out);
  Result<SchemaTypes> types_of(const Conditions& set, bool guess);
  Result<SchemaTypes> types_named(json::Value type);
  Result<bool> plain_allowed(const Conditions& set, SchemaTypes type, GbnfText& out);
  Result<bool> values(const Conditions& set, bool& listed, GbnfText& out);
  Result<bool> condition_holds(Condition one, json::Value value);
  Result<void> literal_of(json::Value value, GbnfText& out);
  // Reads minLength and the like over all conditions.
  Result<void> counts(const Conditions& set, std::string_view least_keyword,
                      std::string_view most_keyword, u32& least, u32& most);
  Result<u32> count(json::Value value, std::string_view keyword);
  Result<bool> number(const Conditions& set, SchemaTypes types, GbnfText& out);
  Result<NumberRules> number_rules(const Conditions& set, SchemaTypes types,
                                   Vector<ExactDecimal>& steps);
  Result<void> number_bound(NumberRules& rules, std::string_view keyword, json::Value value,
                            bool low, bool open);
  Result<TextAutomaton> number_texts(NumberRules& rules, const Vector<ExactDecimal>& steps);
  Result<String> excluded_numbers(const Conditions& set);
  Result<bool> string(const Conditions& set, GbnfText& out);
  Result<String> string_key(const Conditions& set, u32 least, u32 most);
  Result<TextAutomaton> string_texts(const Conditions& set, Reading reading, bool& bound);
  Result<void> keep_patterns(const Conditions& set, Reading reading, TextAutomaton& all,
                             bool& bound);
  Result<void> limit_length(TextAutomaton& texts, u32 least, u32 most);

  // ---- grammar_schema_object.cpp
  Result<bool> object(const Conditions& set, GbnfText& out);
  Result<bool> collect_properties(const Conditions& set, ObjectRules& rules);
  Result<TextAutomaton> pattern_texts(json::Value pattern, Reading reading,
                                      const TextAutomaton* within = nullptr);
  Result<const KeyPattern*> key_pattern(json::Value pattern);
  Result<bool> property_set(const Conditions& set, std::string_view name, Conditions& out);
  bool describes(json::Value schema, std::string_view name, u32 depth);
  json::Value rest_of(json::Value leaf, const Conditions& set);
  Result<Conditions> names_set(const Conditions& set);
  Result<TextAutomaton> other_names(const Conditions& set, const ObjectRules& rules);
  Result<bool> other_pairs(const Conditions& set, const ObjectRules& rules, GbnfText& out);
  Result<u32> chain(ObjectRules& rules, u32 others);
  Result<u32> chain_end(const ObjectRules& rules, u32 others, u32 c);

  // ---- grammar_schema_array.cpp
  Result<bool> array(const Conditions& set, GbnfText& out);
  Result<bool> item_set(const Conditions& set, u32 place, Conditions& out);
  Result<void> sequence(const ArrayRules& rules, GbnfText& out);
  Result<bool> grid(const Conditions& set, const ArrayRules& rules, GbnfText& out);
  Result<bool> distinct(const Vector<json::Value>& list, const ArrayRules& rules, GbnfText& out);
  Result<bool> listed_values(const Conditions& set, Vector<json::Value>& out);

  // ---- grammar_schema_text.cpp
  // Writes rules for the texts of an automaton, each followed by `end`, and returns the first rule.
  // Strings are `escaped` as JSON does it.
  Result<u32> automaton_rule(const TextAutomaton& automaton, std::string_view end, bool escaped);
  Result<u32> node_rule(AutomatonText& text, u32 node);
  Result<void> node_body(AutomatonText& text, u32 at, u32 depth, GbnfText& out);
  Result<void> repetition(GbnfText& out, std::string_view item, u32 least, u32 most);

  json::Value root_;
  u32 base_ = 0;
  std::string_view prefix_;
  String& out_;
  base::Writer& problem_;
  Work work_{kSchemaWork};
  SchemaCheck check_;
  NameIndex sets_;                // the sorted keys of each set
  Vector<Vector<u32>> set_keys_;  // the bytes of those names
  Vector<u32> set_rules_;         // the rule of each set
  Vector<u32> in_place_;          // schemas being expanded, to find circles of $ref
  u32 next_rule_ = 0;
  u32 depth_ = 0;
  Vector<base::Owner<KeyPattern>> key_patterns_;
  NameIndex text_keys_;  // strings by string_key(), whose bytes text_names_ has
  Vector<String> text_names_;
  Vector<u32> text_rules_;
  u32 looking_ = 0;    // above 0 while contradictions are searched for, where nothing is written
  bool said_ = false;  // problem_ has its sentence
  const char* never_what_ = nullptr;  // the first contradiction that was met
  std::string_view never_about_;
};

}  // namespace ai
