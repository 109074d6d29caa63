// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles JSON Schema to GBNF: arrays.
#include <algorithm>
#include <bit>

#include "ai/text/grammar_schema.h"

namespace ai {
namespace {

constexpr usize kMaxGrid = 4096;  // places times counted items of `contains`
constexpr usize kMaxListed = 7;   // different items; each set of them is a rule

// The items in front. Drafts up to 2019-09 write them as a list of `items`.
json::Value front_of(json::Value leaf) {
  json::Value items = leaf.find("items");
  return items.is_array() ? items : leaf.find("prefixItems");
}

}  // namespace

// Collects what the set says of the item at `place`. Returns false if there must be none.
Result<bool> SchemaCompiler::item_set(const Conditions& set, u32 place, Conditions& out) {
  bool described = false, tuple = false;
  for (const Condition& one : set) {
    if (one.kind != Kind::kLeaf) continue;
    json::Value there = at(one.node), front = front_of(there);
    json::Value rest = there.find(there.find("items").is_array() ? "additionalItems" : "items");
    json::Value unevaluated = there.find("unevaluatedItems");
    bool whole = std::any_of(set.begin(), set.end(), [&](const Condition& other) {
      return other.kind == Kind::kMore && unevaluated.present() &&
             other.node == node_of(unevaluated);
    });
    if (!rest.present() && !whole && looking_ == 0) rest = unevaluated;
    json::Value item = place < front.size() ? front.at(place) : rest;
    if (item.present()) TRY(add_once(out, {Kind::kSchema, node_of(item)}));
    described |= item.present();
    tuple |= front.present();
  }
  for (const Condition& one : set)
    if (one.kind == Kind::kMore && !described && looking_ == 0) {
      TRY(add_once(out, {Kind::kSchema, one.node}));
      described = true;
    }
  // A tuple ends after its last item unless something describes more.
  if (tuple && !described) return false;
  return std::none_of(out.begin(), out.end(), [&](const Condition& one) {
    return one.kind == Kind::kSchema && at(one.node).kind() == json::Kind::kFalse;
  });
}

Result<bool> SchemaCompiler::array(const Conditions& set, GbnfText& out) {
  ArrayRules rules;
  TRY(counts(set, "minItems", "maxItems", rules.least, rules.most));
  bool unique = false;
  usize fixed = 0;
  for (const Condition& one : set) {
    if (one.kind != Kind::kLeaf) continue;
    fixed = std::max<usize>(fixed, front_of(at(one.node)).size());
    unique |= at(one.node).find("uniqueItems").is_true();
    if (at(one.node).find("contains").present()) {
      if (rules.contains.present()) return error("combines two 'contains'");
      rules.contains = at(one.node);
    }
  }
  TRY(check_count("items in front", fixed, kMaxProperties));
  for (u32 place = 0; place <= fixed && place < rules.most; place++) {
    Conditions item;
    u32 rule = TRY(item_set(set, place, item)) ? TRY(rule_for(item)) : kNever;
    if (rule == kNever) {
      rules.most = place;
      break;
    }
    if (place < fixed)
      TRY(rules.front.push_back(rule));
    else
      rules.rest = rule;
  }
  if (rules.least > rules.most) {
    contradiction("minItems is above the number of items that are possible");
    return false;
  }
  rules.distinct = unique && rules.most > 1;
  if (rules.contains.present()) return grid(set, rules, out);
  Vector<json::Value> listed;
  Conditions item;
  if (rules.distinct && rules.front.empty()) {
    TRY(item_set(set, 0, item));
    if (TRY(listed_values(item, listed)) && listed.size() <= kMaxListed)
      return distinct(listed, rules, out);
  }
  TRY(sequence(rules, out));
  return true;
}

// Writes the items in front, all of them as far as maxItems lets them, and then the others.
Result<void> SchemaCompiler::sequence(const ArrayRules& rules, GbnfText& out) {
  out.add(rules.distinct ? " json-distinct json-space" : " \"[\" json-space");
  u32 fixed = static_cast<u32>(rules.front.size());
  for (u32 place = 0; place < fixed; place++)
    reference(out.add(place > 0 ? " \",\" json-space" : ""), rules.front[place]);
  u32 least = rules.least > fixed ? rules.least - fixed : 0;
  u32 most = rules.most == kNoCount ? kNoCount : rules.most - fixed;
  GbnfText item, next;
  if (most > 0) reference(item, rules.rest);
  next.add(" (\",\" json-space{})", item.view());
  TRY(next.status());
  if (most > 0 && fixed > 0) {
    TRY(repetition(out, next.view(), least, most));
  } else if (most > 0) {
    out.add(" ({}", item.view());
    TRY(repetition(out, next.view(), least > 0 ? least - 1 : 0,
                   most == kNoCount ? kNoCount : most - 1));
    out.add(least > 0 ? " json-space)" : " json-space)?");
  }
  if (fixed > 0) out.add(" json-space");
  out.add(" \"]\"");
  return {};
}

// Writes arrays of which some items meet `contains`: one rule for each place and number of such
// items so far.
Result<bool> SchemaCompiler::grid(const Conditions& set, const ArrayRules& rules, GbnfText& out) {
  u32 least = 1, most = kNoCount;
  if (json::Value n = rules.contains.find("minContains")) least = TRY(count(n, "minContains"));
  if (json::Value n = rules.contains.find("maxContains")) most = TRY(count(n, "maxContains"));
  u32 wanted = node_of(rules.contains.find("contains"));
  u32 fixed = static_cast<u32>(rules.front.size());
  // From the last place on, every item is like the others, and none is the first one.
  u32 places = rules.most != kNoCount ? rules.most : std::max({1u, fixed, rules.least});
  u32 counted = std::max(least, most == kNoCount ? 0 : most);
  if ((usize{places} + 1) * (usize{counted} + 1) > kMaxGrid)
    return error("'contains' is not supported beside such large counts");
  Vector<u32> next;  // indexed by the number of items met
  bool loop = rules.most == kNoCount;
  for (u32 place = places + 1; place-- > 0;) {
    Vector<u32> here;
    for (u32 c = 0; c <= counted; c++) TRY(here.push_back(new_rule()));
    bool ends = place == places && !loop;
    u32 hit = kNever, miss = kNever;
    if (!ends) {
      Conditions item, yes, no;
      TRY(item_set(set, place, item));
      yes = TRY(item.clone());
      no = TRY(item.clone());
      TRY(add_once(yes, {Kind::kSchema, wanted}));
      if (most != kNoCount) TRY(add_once(no, {Kind::kNot, wanted}));
      hit = TRY(rule_for(yes));
      miss = TRY(rule_for(no));
    }
    for (u32 c = 0; c <= counted; c++) {
      GbnfText text;
      bool any = false;
      auto branch = [&](u32 rule, u32 then) {
        if (rule == kNever) return;
        text.add("{}{}", any ? " |" : "", place > 0 ? " \",\" json-space" : "");
        reference(reference(text, rule), place == places ? here[then] : next[then]);
        any = true;
      };
      if (c >= least && place >= rules.least) text.add(" json-space"), any = true;
      if (most == kNoCount || c < most) branch(hit, std::min(c + 1, counted));
      branch(miss, c);
      if (!any) text.add(" []");
      TRY(emit(here[c], text));
    }
    next = std::move(here);
  }
  out.add(rules.distinct ? " json-distinct json-space" : " \"[\" json-space");
  reference(out, next[0]).add(" \"]\"");
  return true;
}

// Writes arrays whose items are listed and differ, in any order: one rule for each set of items
// that were written already. Longer lists are kept apart while they are written, by json-distinct.
Result<bool> SchemaCompiler::distinct(const Vector<json::Value>& list, const ArrayRules& rules,
                                      GbnfText& out) {
  u32 count = static_cast<u32>(list.size());
  if (rules.least > count) {
    contradiction("minItems is above the number of different items");
    return false;
  }
  Vector<u32> values;
  for (json::Value value : list) {
    GbnfText text;
    TRY(literal_of(value, text));
    TRY(values.push_back(new_rule()));
    TRY(emit(values.back(), text));
  }
  u32 first = next_rule_;
  next_rule_ += 1u << count;
  for (u32 state = 0; state < 1u << count; state++) {
    GbnfText text;
    u32 written = static_cast<u32>(std::popcount(state));
    bool any = written >= rules.least;
    if (any) text.add(" json-space");
    for (u32 i = 0; i < count && written < rules.most; i++) {
      if ((state >> i & 1) != 0) continue;
      text.add("{}{}", any ? " |" : "", written > 0 ? " \",\" json-space" : "");
      reference(reference(text, values[i]), first + (state | 1u << i));
      any = true;
    }
    if (!any) text.add(" []");
    TRY(emit(first + state, text));
  }
  reference(out.add(" \"[\" json-space"), first).add(" \"]\"");
  return true;
}

// Lists the different values that a set allows, if its schema lists them.
Result<bool> SchemaCompiler::listed_values(const Conditions& set, Vector<json::Value>& out) {
  Expanded all;
  TRY(expand(set, all));
  if (!all.choices.empty() || all.never) return false;
  for (const Condition& one : all.plain) {
    json::Value constant = at(one.node).find("const"), list = at(one.node).find("enum");
    if (one.kind != Kind::kLeaf || (!constant.present() && !list.is_array())) continue;
    auto take = [&](json::Value value) -> Result<void> {
      for (json::Value other : out)
        if (SchemaCheck::equal(other, value)) return {};
      for (const Condition& other : all.plain)
        if (!TRY(condition_holds(other, value))) return {};
      return out.push_back(value);
    };
    TRY(work_.spend(usize{list.size()} * list.size()));
    if (constant.present()) TRY(take(constant));
    if (!constant.present())
      for (json::Value value : list.elements()) TRY(take(value));
    return true;
  }
  return false;
}

}  // namespace ai
