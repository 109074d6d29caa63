// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles JSON Schema to GBNF: writes automata as rules, and repetitions.
#include <algorithm>

#include "ai/text/grammar_schema.h"

namespace ai {
namespace {

constexpr u32 kMaxInline = 24;    // nested parentheses
constexpr u32 kMaxCopies = 1024;  // of an item in a row; more are written as doublings
constexpr CharRange kRaw[] = {{0x20, 0x21},
                              {0x23, 0x5b},
                              {0x5d, 0x7e},
                              {0x80, 0xd7ff},
                              {0xe000, kLastChar}};  // written as they are in a JSON string

// Writes one end of a range in a GBNF class.
void class_char(GbnfText& out, u32 c) {
  bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  if (plain)
    out.add("{}", static_cast<char>(c));
  else if (c < 0x100)
    out.add("\\x{:02x}", c);
  else if (c < 0x10000)
    out.add("\\u{:04x}", c);
  else
    out.add("\\U{:08x}", c);
}

// Writes the characters of `set` as JSON writes them in a string: as they are where it can, escaped
// where it must. Returns the number of alternatives.
u32 escaped_set(GbnfText& out, const Vector<CharRange>& set) {
  auto has = [&](u32 low, u32 high) {
    return std::any_of(set.begin(), set.end(),
                       [&](const CharRange& r) { return r.low <= low && r.high >= high; });
  };
  if (has(0, kLastChar)) {
    out.add(" json-char");
    return 1;
  }
  u32 parts = 0;
  GbnfText raw;
  for (const CharRange& r : set)
    for (const CharRange& allowed : kRaw) {
      u32 low = std::max(r.low, allowed.low), high = std::min(r.high, allowed.high);
      if (low > high) continue;
      class_char(raw, low);
      if (high > low) class_char(raw.add("-"), high);
    }
  auto add = [&](std::string_view part) { out.add("{} {}", parts++ > 0 ? " |" : "", part); };
  if (!raw.view().empty()) {
    add("[");
    out.add("{}]", raw.view());
  }
  if (has('"', '"')) add("\"\\\\\\\"\"");
  if (has('\\', '\\')) add("\"\\\\\\\\\"");
  if (has(0x7f, 0x7f)) add("\"\\\\u007\" [fF]");
  if (has(0, 0x1f)) {
    add("json-control");
    return parts;
  }
  constexpr std::string_view kShort = "\b\f\n\r\t", kLetters = "bfnrt";
  for (u32 c = 0; c < 0x20; c++) {
    if (!has(c, c)) continue;
    char text[32];
    usize known = kShort.find(static_cast<char>(c));
    if (known != std::string_view::npos)
      add(base::format_into(text, "\"\\\\{}\"", kLetters[known]));
    else
      add(base::format_into(text, "\"\\\\u{:04x}\"", c));
  }
  return parts;
}

u32 bare_set(GbnfText& out, const Vector<CharRange>& set) {
  out.add(" [");
  for (const CharRange& r : set) {
    class_char(out, r.low);
    if (r.high > r.low) class_char(out.add("-"), r.high);
  }
  out.add("]");
  return 1;
}

}  // namespace

// Writes an automaton as right-linear rules. A node with one way in is written where it is used.
Result<u32> SchemaCompiler::automaton_rule(const TextAutomaton& automaton, std::string_view end,
                                           bool escaped) {
  AutomatonText text{automaton, end, escaped, {}, {}};
  TRY(text.ways_in.resize(automaton.nodes().size()));
  TRY(text.rules.resize(automaton.nodes().size()));
  for (const TextAutomaton::Node& node : automaton.nodes())
    for (const TextAutomaton::Edge& edge : automaton.edges(node)) text.ways_in[edge.to]++;
  Vector<u32> todo;
  text.todo = &todo;
  u32 first = TRY(node_rule(text, 0));
  for (usize i = 0; i < todo.size(); i++) {
    GbnfText body;
    TRY(node_body(text, todo[i], 0, body));
    TRY(emit(text.rules[todo[i]] - 1, body));
  }
  return first;
}

Result<u32> SchemaCompiler::node_rule(AutomatonText& text, u32 node) {
  u32& known = text.rules[node];
  if (known != 0) return known - 1;
  if (next_rule_ >= kMaxSchemaRules) return error("has too many parts");
  u32 rule = new_rule();
  known = rule + 1;
  TRY(text.todo->push_back(node));
  return rule;
}

// Writes the alternatives of a node: the end, and a set of characters for each node that follows.
Result<void> SchemaCompiler::node_body(AutomatonText& text, u32 at, u32 depth, GbnfText& out) {
  const TextAutomaton::Node& node = text.automaton.nodes()[at];
  std::span<const TextAutomaton::Edge> edges = text.automaton.edges(node);
  bool any = node.accepts;
  if (node.accepts) out.add(" {}", text.end.empty() ? "\"\"" : text.end);
  Vector<u32> targets;
  for (const TextAutomaton::Edge& edge : edges) TRY(targets.push_back(edge.to));
  std::sort(targets.begin(), targets.end());
  targets.truncate(
      static_cast<usize>(std::unique(targets.begin(), targets.end()) - targets.begin()));
  TRY(work_.spend(edges.size() * targets.size() / 8 + 4));
  for (u32 to : targets) {
    Vector<CharRange> set;
    for (const TextAutomaton::Edge& edge : edges)
      if (edge.to == to) TRY(set.push_back({edge.low, edge.high}));
    GbnfText chars;
    u32 parts = text.escaped ? escaped_set(chars, set) : bare_set(chars, set);
    if (parts == 0) continue;  // none of them can be written
    out.add(any ? " |" : "").add(parts > 1 ? " ({})" : "{}", chars.view());
    any = true;
    if (text.ways_in[to] > 1 || depth == kMaxInline) {
      reference(out, TRY(node_rule(text, to)));
      continue;
    }
    GbnfText inside;
    TRY(node_body(text, to, depth + 1, inside));
    out.add(" ({})", inside.view());
  }
  if (!any) out.add(" []");
  return {};
}

// Writes `item` least to most times. Long repetitions are made of rules for 2^k items, so that a
// limit of a million costs some dozens of rules.
Result<void> SchemaCompiler::repetition(GbnfText& out, std::string_view item, u32 least, u32 most) {
  if (most == kNoCount && least <= kMaxCopies) {
    out.add("{}{{{},}", item, least);
    return {};
  }
  if (most != kNoCount && most <= kMaxCopies) {
    out.add("{}{{{},{}}", item, least, most);
    return {};
  }
  Vector<u32> powers;  // the rule of 2^k items
  GbnfText one;
  one.add("{}", item);
  for (u32 k = 0; k < 21; k++) {
    TRY(powers.push_back(new_rule()));
    TRY(emit(powers.back(), one));
    one = GbnfText();
    reference(reference(one, powers.back()), powers.back());
  }
  for (u32 k = 0; k < powers.size(); k++)
    if ((least >> k & 1) != 0) reference(out, powers[k]);
  if (most == kNoCount) {
    out.add("{}*", item);
    return {};
  }
  // Up to n items: either the largest power in n and up to the rest, or fewer than that power.
  // Fewer than 2^k: perhaps 2^(k-1), then fewer than 2^(k-1).
  Vector<u32> fewer;
  GbnfText none;
  none.add(" \"\"");
  for (u32 k = 0; k < powers.size(); k++) {
    TRY(fewer.push_back(new_rule()));
    TRY(emit(fewer.back(), none));
    none = GbnfText();
    reference(reference(none, powers[k]), fewer.back()).add(" |");
    reference(none, fewer.back());
  }
  u32 rest = most - least;
  GbnfText last;
  last.add(" \"\"");
  for (u32 k = 0; k < powers.size(); k++) {
    if ((rest >> k & 1) == 0) continue;
    u32 rule = new_rule();
    TRY(emit(rule, last));
    last = GbnfText();
    reference(reference(last, powers[k]), rule).add(" |");
    reference(last, fewer[k]);
  }
  u32 rule = new_rule();
  TRY(emit(rule, last));
  reference(out, rule);
  return {};
}

}  // namespace ai
