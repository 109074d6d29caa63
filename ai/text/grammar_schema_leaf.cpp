// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles JSON Schema to GBNF: sets without choices, type by type; listed values, numbers,
// strings.
#include <algorithm>

#include "ai/text/grammar_schema.h"

namespace ai {
namespace {

// The type that a keyword speaks of. A schema without `type` is taken to mean these types, as its
// author does, although the specification lets every other type pass.
struct Hint {
  std::string_view keyword;
  SchemaTypes type;
};
constexpr Hint kHints[] = {{"properties", kTypeObject},
                           {"required", kTypeObject},
                           {"additionalProperties", kTypeObject},
                           {"patternProperties", kTypeObject},
                           {"propertyNames", kTypeObject},
                           {"minProperties", kTypeObject},
                           {"maxProperties", kTypeObject},
                           {"unevaluatedProperties", kTypeObject},
                           {"items", kTypeArray},
                           {"prefixItems", kTypeArray},
                           {"minItems", kTypeArray},
                           {"maxItems", kTypeArray},
                           {"uniqueItems", kTypeArray},
                           {"contains", kTypeArray},
                           {"unevaluatedItems", kTypeArray},
                           {"pattern", kTypeString},
                           {"minLength", kTypeString},
                           {"maxLength", kTypeString},
                           {"format", kTypeString},
                           {"minimum", kTypeNumber},
                           {"maximum", kTypeNumber},
                           {"exclusiveMinimum", kTypeNumber},
                           {"exclusiveMaximum", kTypeNumber},
                           {"multipleOf", kTypeNumber}};

SchemaTypes hinted(std::string_view keyword) {
  for (const Hint& hint : kHints)
    if (hint.keyword == keyword) return hint.type;
  return 0;
}

}  // namespace

// ---- types ----------------------------------------------------------------------------------

Result<SchemaTypes> SchemaCompiler::types_named(json::Value type) {
  struct Row {
    std::string_view name;
    SchemaTypes types;
  };
  constexpr Row kRows[] = {{"null", kTypeNull},     {"boolean", kTypeBoolean},
                           {"object", kTypeObject}, {"array", kTypeArray},
                           {"string", kTypeString}, {"integer", kTypeWhole},
                           {"number", kTypeNumber}, {"any", kTypeAny}};
  SchemaTypes all = 0;
  auto add = [&](std::string_view name) {
    for (const Row& row : kRows)
      if (row.name == name) all |= row.types;
    return std::any_of(std::begin(kRows), std::end(kRows),
                       [&](const Row& row) { return row.name == name; });
  };
  if (type.is_string())
    return add(type.text()) ? all : Result<SchemaTypes>(error("unknown type", type.text()));
  for (json::Value one : type.elements())
    if (!add(one.text())) return error("unknown type", one.text());
  if (all == 0) return error("type must be a name or a list of names");
  return all;
}

// Returns the types that the set allows. With `guess`, a set without `type` is taken to mean the
// types that its keywords speak of.
Result<SchemaTypes> SchemaCompiler::types_of(const Conditions& set, bool guess) {
  SchemaTypes types = kTypeAny, hints = 0;
  bool named = false;
  for (const Condition& one : set) {
    json::Value value = at(one.node);
    if (one.kind == Kind::kLeaf) {
      json::Value type = value.find("type");
      if (type.present()) types &= TRY(types_named(type)), named = true;
      for (json::Member m : value.members()) hints |= hinted(m.name);
    } else if (one.kind == Kind::kNull) {
      types &= kTypeNull;
    } else if (one.kind == Kind::kIsObject) {
      types &= kTypeObject;
    } else if (one.kind == Kind::kBroken) {
      std::string_view keyword = at(one.node - 1).text();
      if (keyword == "type")
        types &= ~TRY(types_named(value));
      else if (hinted(keyword) != 0)
        types &= hinted(keyword);
    } else if (one.kind == Kind::kForbidden || one.kind == Kind::kNeeded) {
      hints |= kTypeObject;
    }
  }
  if (guess && !named && hints != 0) types &= hints;
  return types;
}

// ---- leaves ---------------------------------------------------------------------------------

// Writes what a set without choices takes. Returns false if it takes nothing.
Result<bool> SchemaCompiler::leaf(const Conditions& set, GbnfText& out) {
  if (set.empty()) {
    out.add(" json-value");
    return true;
  }
  bool listed = false;
  bool any = TRY(values(set, listed, out));
  if (listed) return any;
  SchemaTypes types = TRY(types_of(set, true));
  if (types == 0) contradiction("its types exclude each other");
  auto part = [&](Result<bool> possible, const GbnfText& text) -> Result<void> {
    if (!TRY(std::move(possible))) return {};
    out.add(any ? " |{}" : "{}", text.view());
    any = true;
    return text.status();
  };
  using Member = Result<bool> (SchemaCompiler::*)(const Conditions&, GbnfText&);
  struct Row {
    SchemaTypes type;
    Member write;
  };
  constexpr Row kRows[] = {{kTypeObject, &SchemaCompiler::object},
                           {kTypeArray, &SchemaCompiler::array},
                           {kTypeString, &SchemaCompiler::string}};
  for (const Row& row : kRows) {
    GbnfText text;
    if ((types & row.type) != 0) TRY(part((this->*row.write)(set, text), text));
  }
  GbnfText text;
  if ((types & kTypeNumber) != 0) TRY(part(number(set, types, text), text));
  for (auto [type, rule] :
       {std::pair(kTypeBoolean, " json-boolean"), std::pair(kTypeNull, " json-null")}) {
    GbnfText plain;
    plain.add("{}", rule);
    if ((types & type) != 0) TRY(part(TRY(plain_allowed(set, type, plain)), plain));
  }
  return any;
}

// Removes excluded values from a rule for booleans or null.
Result<bool> SchemaCompiler::plain_allowed(const Conditions& set, SchemaTypes type, GbnfText& out) {
  bool excluded[3] = {};  // false, true, null
  for (const Condition& one : set) {
    if (one.kind != Kind::kBroken) continue;
    std::string_view keyword = at(one.node - 1).text();
    if (keyword != "const" && keyword != "enum") continue;
    json::Value list = at(one.node);
    auto look = [&](json::Value value) {
      excluded[0] |= value.kind() == json::Kind::kFalse;
      excluded[1] |= value.is_true();
      excluded[2] |= value.is_null();
    };
    if (keyword == "const") look(list);
    if (keyword == "enum")
      for (json::Value value : list.elements()) look(value);
  }
  if (type == kTypeNull) return !excluded[2];
  if (!excluded[0] && !excluded[1]) return true;
  out = GbnfText();
  out.add(" \"{}\"", excluded[0] ? "true" : "false");
  return !excluded[0] || !excluded[1];
}

// If the set lists its values, writes those that meet all its conditions, and sets `listed`.
Result<bool> SchemaCompiler::values(const Conditions& set, bool& listed, GbnfText& out) {
  bool any = false;
  for (const Condition& one : set) {
    if (one.kind != Kind::kLeaf) continue;
    json::Value constant = at(one.node).find("const"), list = at(one.node).find("enum");
    if (!constant.present() && !list.present()) continue;
    listed = true;
    auto take = [&](json::Value value) -> Result<void> {
      for (const Condition& other : set)
        if (!TRY(condition_holds(other, value))) return {};
      out.add(any ? " |" : "");
      any = true;
      return literal_of(value, out);
    };
    if (constant.present()) {
      TRY(take(constant));
      if (!any) contradiction("const is excluded by another keyword");
      return any;
    }
    if (!list.is_array() || list.size() == 0) return error("enum must be a list of values");
    for (json::Value value : list.elements()) TRY(take(value));
    if (!any) contradiction("no value of enum meets the other keywords");
    return any;
  }
  return false;
}

Result<bool> SchemaCompiler::condition_holds(Condition one, json::Value value) {
  json::Value there = at(one.node);
  switch (one.kind) {
    case Kind::kLeaf:
      return about(check_.holds(there, value), check_.about());
    case Kind::kNull:
      return value.is_null();
    case Kind::kIsObject:
      return value.is_object();
    case Kind::kForbidden:
      return !value.find(there.text()).present();
    case Kind::kNeeded:
      return !value.is_object() || value.find(there.text()).present();
    case Kind::kBroken:
      return !TRY(
          about(check_.keyword_holds(at(one.node - 1).text(), there, value), check_.about()));
    case Kind::kBrokenIn: {
      json::Value property = value.find(at(one.node - 1).text());
      return property.present() && !TRY(about(check_.holds(there, property), check_.about()));
    }
    default:
      // unevaluatedProperties and unevaluatedItems
      return value.is_object() || value.is_array()
                 ? Result<bool>(
                       error("enum or const beside an unevaluated… keyword is not supported"))
                 : Result<bool>(true);
  }
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

Result<u32> SchemaCompiler::count(json::Value value, std::string_view keyword) {
  constexpr i64 kMost = 1 << 20;
  // A larger limit than this is enforced as this: no answer is as long.
  if (!value.is_number()) return error("must be a whole number:", keyword);
  i64 n = value.integer().value_or(-1);
  if (!value.integer().has_value() && value.integer().error().code == Errc::kOutOfRange) n = kMost;
  if (n < 0) return error("must be a whole number:", keyword);
  return static_cast<u32>(std::min(n, kMost));
}

// Reads two counts over all conditions.
Result<void> SchemaCompiler::counts(const Conditions& set, std::string_view least_keyword,
                                    std::string_view most_keyword, u32& least, u32& most) {
  for (const Condition& one : set) {
    if (one.kind == Kind::kLeaf) {
      json::Value low = at(one.node).find(least_keyword), high = at(one.node).find(most_keyword);
      if (low.present()) least = std::max(least, TRY(count(low, least_keyword)));
      if (high.present()) most = std::min(most, TRY(count(high, most_keyword)));
    } else if (one.kind == Kind::kBroken) {
      std::string_view keyword = at(one.node - 1).text();
      u32 n = keyword == least_keyword || keyword == most_keyword
                  ? TRY(count(at(one.node), keyword))
                  : 0;
      if (keyword == least_keyword && n == 0) least = kNoCount;  // nothing is shorter
      if (keyword == least_keyword && n > 0) most = std::min(most, n - 1);
      if (keyword == most_keyword) least = std::max(least, n + 1);
    }
  }
  if (least > most) contradiction("the least count is above the largest:", least_keyword);
  return {};
}

// ---- numbers --------------------------------------------------------------------------------

Result<bool> SchemaCompiler::number(const Conditions& set, SchemaTypes types, GbnfText& out) {
  Vector<ExactDecimal> steps;
  NumberRules rules = TRY(number_rules(set, types, steps));
  String pattern = TRY(excluded_numbers(set));
  if (rules.free() && steps.empty() && pattern.empty()) {
    out.add(rules.whole ? " json-integer" : " json-number");
    return true;
  }
  TextAutomaton texts = TRY(number_texts(rules, steps));
  if (!pattern.empty()) {
    TextAutomaton excluded = TRY(regex_automaton(pattern.view(), false, work_));
    texts = TRY(TextAutomaton::both(texts, TRY(excluded.complement(work_)), work_));
  }
  if (texts.empty()) {
    contradiction("no number lies within the bounds");
    return false;
  }
  reference(out, TRY(automaton_rule(texts, {}, false)));
  return true;
}

// Returns the numbers that meet the bounds and all steps.
Result<TextAutomaton> SchemaCompiler::number_texts(NumberRules& rules,
                                                   const Vector<ExactDecimal>& steps) {
  TextAutomaton all;
  for (usize i = 0; i < std::max<usize>(steps.size(), 1); i++) {
    rules.stepped = !steps.empty();
    if (rules.stepped) rules.step = steps[i];
    TextAutomaton one = TRY(about(number_automaton(rules, work_), {}));
    all = i == 0 ? std::move(one) : TRY(TextAutomaton::both(all, one, work_));
  }
  return all;
}

// Returns a pattern of the numbers that `not` excludes, or "".
Result<String> SchemaCompiler::excluded_numbers(const Conditions& set) {
  String pattern;
  auto add = [&](json::Value value) -> Result<void> {
    if (!value.is_number()) return {};
    ExactDecimal number = TRY(about(ExactDecimal::from(value.text()), value.text()));
    if (number.whole_digits() > 40 || number.exponent() < -40)
      return error("'not' is not supported with a number as long as", value.text());
    TRY(pattern.append(pattern.empty() ? "^(" : "|"));
    TRY(pattern.append(number.negative() ? "-" : ""));
    i32 wholes = number.whole_digits();
    if (wholes <= 0) TRY(pattern.append("0"));
    std::string_view digits = number.digits();
    for (i32 i = std::min(wholes, 0); i < std::max(wholes, static_cast<i32>(digits.size())); i++) {
      if (i == wholes) TRY(pattern.append("\\."));
      bool inside = i >= 0 && i < static_cast<i32>(digits.size());
      TRY(pattern.push_back(inside ? digits[static_cast<usize>(i)] : '0'));
    }
    return pattern.append(number.whole() ? "(\\.0+)?" : "0*");
  };
  for (const Condition& one : set) {
    if (one.kind != Kind::kBroken) continue;
    std::string_view keyword = at(one.node - 1).text();
    if (keyword == "const") TRY(add(at(one.node)));
    if (keyword == "enum")
      for (json::Value value : at(one.node).elements()) TRY(add(value));
  }
  if (!pattern.empty()) TRY(pattern.append(")$"));
  return pattern;
}

Result<NumberRules> SchemaCompiler::number_rules(const Conditions& set, SchemaTypes types,
                                                 Vector<ExactDecimal>& steps) {
  NumberRules rules;
  rules.whole = (types & kTypeFraction) == 0;
  rules.no_whole = (types & kTypeWhole) == 0;
  for (const Condition& one : set) {
    json::Value there = at(one.node);
    if (one.kind == Kind::kBroken) {
      // A number that breaks a minimum lies below it.
      std::string_view keyword = at(one.node - 1).text();
      bool low = keyword == "minimum" || keyword == "exclusiveMinimum";
      if (!low && keyword != "maximum" && keyword != "exclusiveMaximum") continue;
      TRY(number_bound(rules, keyword, there, !low, keyword == "minimum" || keyword == "maximum"));
    }
    if (one.kind != Kind::kLeaf) continue;
    for (auto [keyword, exclusive, low] : {std::tuple("minimum", "exclusiveMinimum", true),
                                           std::tuple("maximum", "exclusiveMaximum", false)}) {
      json::Value bound = there.find(keyword), open = there.find(exclusive);
      // Up to draft 4, the second keyword is a boolean.
      if (bound.present()) TRY(number_bound(rules, keyword, bound, low, open.is_true()));
      if (open.present() && !open.is_bool()) TRY(number_bound(rules, exclusive, open, low, true));
    }
    if (json::Value step = there.find("multipleOf")) {
      if (!step.is_number()) return error("must be a number:", "multipleOf");
      TRY(steps.push_back(TRY(about(ExactDecimal::from(step.text()), "multipleOf"))));
    }
  }
  return rules;
}

Result<void> SchemaCompiler::number_bound(NumberRules& rules, std::string_view keyword,
                                          json::Value value, bool low, bool open) {
  if (!value.is_number()) return error("must be a number:", keyword);
  ExactDecimal bound = TRY(about(ExactDecimal::from(value.text()), keyword));
  if (low)
    rules.raise_low(bound, open);
  else
    rules.lower_high(bound, open);
  return {};
}

// ---- strings --------------------------------------------------------------------------------

Result<bool> SchemaCompiler::string(const Conditions& set, GbnfText& out) {
  bool bound = false;
  u32 least = 0, most = kNoCount;
  TRY(counts(set, "minLength", "maxLength", least, most));
  if (least > most) return false;
  // Many properties of one schema have the same format.
  String key = TRY(string_key(set, least, most));
  u32 known = key.empty() ? NameIndex::kNone : text_keys_.find(key.view());
  if (known != NameIndex::kNone) {
    reference(out.add(" \"\\\"\""), text_rules_[known]);
    return true;
  }
  TextAutomaton texts = TRY(string_texts(set, Reading::kNarrow, bound));
  if (bound) {
    TRY(limit_length(texts, least, most));
    if (texts.empty()) {
      contradiction("no text meets its pattern, format and length together");
      return false;
    }
    u32 rule = TRY(automaton_rule(texts, "\"\\\"\"", true));
    reference(out.add(" \"\\\"\""), rule);
    if (key.empty()) return true;
    TRY(text_names_.push_back(std::move(key)));
    TRY(text_keys_.add(text_names_.back().view()));
    TRY(text_rules_.push_back(rule));
    return true;
  }
  if (least == 0 && most == kNoCount) {
    out.add(" json-string");
    return true;
  }
  out.add(" \"\\\"\"");
  TRY(repetition(out, " json-char", least, most));
  out.add(" \"\\\"\"");
  return true;
}

// Returns what names the texts of a set, or "" if it is more than patterns, formats and lengths.
Result<String> SchemaCompiler::string_key(const Conditions& set, u32 least, u32 most) {
  String key;
  base::StringWriter out(key);
  bool plain = true;
  for (const Condition& one : set) {
    plain &= one.kind != Kind::kBroken;
    if (one.kind != Kind::kLeaf) continue;
    for (const char* keyword : {"pattern", "format"}) {
      std::string_view text = at(one.node).find(keyword).text();
      if (!text.empty()) base::format_to(out, "{} {} {} ", keyword, text.size(), text);
    }
  }
  if (plain && !key.empty()) base::format_to(out, "{} {}", least, most);
  if (!plain) key.clear();
  TRY(out.status());
  return key;
}

Result<TextAutomaton> SchemaCompiler::pattern_texts(json::Value pattern, Reading reading,
                                                    const TextAutomaton* within) {
  TRY(check_count("bytes in a pattern", pattern.text().size(), kMaxPattern));
  return about(check_.pattern(pattern, reading == Reading::kWide, within), pattern.text());
}

Result<void> SchemaCompiler::limit_length(TextAutomaton& texts, u32 least, u32 most) {
  if (texts.empty()) return {};
  TextAutomaton::Lengths have = TRY(texts.lengths());
  if (have.least >= least) least = 0;
  if (have.most <= most) most = TextAutomaton::kNoLimit;
  if (least == 0 && most == TextAutomaton::kNoLimit) return {};
  TextAutomaton length = TRY(TextAutomaton::of_length(least, most, work_));
  texts = TRY(TextAutomaton::both(texts, length, work_));
  return {};
}

// Returns the texts that all patterns, formats and exclusions of the set allow. `bound` tells if
// there were any. The wide reading is for proofs that no text is allowed: formats may be mere
// notes.
Result<TextAutomaton> SchemaCompiler::string_texts(const Conditions& set, Reading reading,
                                                   bool& bound) {
  TextAutomaton formats = TRY(TextAutomaton::everything());
  bool formed = false;
  for (const Condition& one : set) {
    json::Value form = at(one.node).find("format");
    if (one.kind != Kind::kLeaf || reading == Reading::kWide) continue;
    if (!SchemaCheck::has_format(form.text())) continue;
    TextAutomaton texts = TRY(about(check_.format(form.text()), form.text()));
    formats = formed ? TRY(TextAutomaton::both(formats, texts, work_)) : std::move(texts);
    formed = true;
  }
  TextAutomaton all = TRY(formats.clone());
  bound = formed;
  TRY(keep_patterns(set, reading, all, bound));
  if (!formed || !all.empty()) return all;
  // The formats here are narrower than their specifications. Where the other keywords have nothing
  // in common with one, they decide.
  TextAutomaton others = TRY(TextAutomaton::everything());
  bool any = false;
  TRY(keep_patterns(set, reading, others, any));
  return any ? std::move(others) : std::move(all);
}

// Keeps the texts that meet all patterns and exclusions.
Result<void> SchemaCompiler::keep_patterns(const Conditions& set, Reading reading,
                                           TextAutomaton& all, bool& bound) {
  bool wide = reading == Reading::kWide;
  for (const Condition& one : set) {
    json::Value there = at(one.node);
    if (one.kind == Kind::kLeaf && there.find("pattern").present()) {
      all = TRY(pattern_texts(there.find("pattern"), reading, bound ? &all : nullptr));
      bound = true;
    }
    if (one.kind != Kind::kBroken) continue;
    std::string_view keyword = at(one.node - 1).text();
    Vector<std::string_view> words;
    if (keyword == "const" && there.is_string()) TRY(words.push_back(there.text()));
    if (keyword == "enum")
      for (json::Value value : there.elements())
        if (value.is_string()) TRY(words.push_back(value.text()));
    TextAutomaton excluded;
    if (keyword == "pattern")
      excluded = TRY(pattern_texts(there, wide ? Reading::kNarrow : Reading::kWide));
    else if (!words.empty())
      excluded = TRY(TextAutomaton::of_words(words.view(), work_));
    if (excluded.nodes().empty()) continue;
    all = TRY(TextAutomaton::both(all, TRY(excluded.complement(work_)), work_));
    bound = true;
  }
  return {};
}

}  // namespace ai
