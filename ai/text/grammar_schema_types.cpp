// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles JSON Schema to GBNF: objects, arrays, strings and numbers with their bounds.
#include <algorithm>

#include "ai/text/grammar_schema.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

// Writes {least,most} in GBNF.
void repetition(GbnfText& out, u32 least, u32 most) {
  if (most == kNoCount)
    out.add("{{{},}", least);
  else
    out.add("{{{},{}}", least, most);
}

struct Format {
  std::string_view name, pattern;
};
constexpr Format kFormats[] = {
    {"date", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$"},
    {"time",
     "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]"
     ")$"},
    {"date-time",
     "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\."
     "[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"},
    {"duration", "^P([0-9]{1,4}D(T[0-9]{1,4}[HMS])?|T[0-9]{1,4}[HMS]|[0-9]{1,4}[WMY])$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    {"email",
     "^[a-z0-9]{1,32}([._-][a-z0-9]{1,16}){0,3}@[a-z0-9]{1,32}(-[a-z0-9]{1,16})?(\\.[a-z]{2,12}){1,"
     "3}$"},
    {"hostname", "^[a-z0-9]{1,32}(-[a-z0-9]{1,16})?(\\.[a-z0-9]{1,32}){0,6}$"},
    {"ipv4",
     "^(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){"
     "3}$"},
    {"ipv6", "^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}$"},
    {"uri",
     "^https?://[a-z0-9]{1,32}(-[a-z0-9]{1,16})?(\\.[a-z0-9]{1,32}){1,4}(/"
     "[a-zA-Z0-9_.-]{0,32}){0,6}$"},
};

}  // namespace

// ---- objects --------------------------------------------------------------------------------

Result<void> SchemaCompiler::count_properties(std::span<const json::Value> parts) {
  usize properties = 0, required = 0;
  for (json::Value part : parts) {
    properties += part.find("properties").size();
    required += part.find("required").size();
  }
  TRY(check_count("properties", properties, kMaxProperties));
  return check_count("required properties", required, kMaxProperties);
}

Result<void> SchemaCompiler::collect_properties(std::span<const json::Value> parts,
                                                Vector<Property>& list) {
  TRY(count_properties(parts));
  NameIndex required, known;
  for (json::Value part : parts)
    for (json::Value name : part.find("required").elements())
      if (name.is_string()) TRY(required.add(name.text()));
  for (json::Value part : parts)
    for (json::Member m : part.find("properties").members()) {
      if (TRY(known.add(m.name)) < list.size())
        return error("property is described twice:", m.name);
      TRY(list.push_back({m.name, m.value, required.find(m.name) != NameIndex::kNone}));
    }
  for (u32 i = 0; i < required.size(); i++)
    if (TRY(known.add(required[i])) == list.size()) TRY(list.push_back({required[i], {}, true}));
  return check_count("properties", list.size(), kMaxProperties);
}

// Properties keep the schema's order. There are two chains of rules, for the text before and after
// the first written property, so that the commas are right whichever properties are left out.
Result<void> SchemaCompiler::object(std::span<const json::Value> parts, GbnfText& out) {
  Vector<Property> list;
  TRY(collect_properties(parts, list));
  json::Value additional;
  for (json::Value part : parts)
    if (part.find("additionalProperties").present()) additional = part.find("additionalProperties");
  bool open = additional.is_true() || additional.is_object();
  if (list.empty() && !additional.present()) {
    out.add(" json-object");
    return {};
  }
  u32 others = open ? TRY(additional_pair(additional, list)) : kNoCount;
  u32 first = new_rule(), after = new_rule();
  GbnfText first_end, after_end;
  if (open) {
    first_end.add(" ({}-{} ", prefix_, others).add("(\",\" json-space {}-{})*)?", prefix_, others);
    after_end.add(" (\",\" json-space {}-{})*", prefix_, others);
  } else {
    first_end.add(" \"\"");
    after_end.add(" \"\"");
  }
  TRY(emit(first, first_end));
  TRY(emit(after, after_end));
  for (usize i = list.size(); i-- > 0;) {
    const Property& p = list[i];
    String name;
    base::StringWriter sink(name);
    json::Writer(sink).value(p.name);
    TRY(sink.status());
    GbnfText pair;
    pair.add(" ").literal(name.view()).add(" \":\" json-blank");
    if (p.schema.present())
      reference(pair, TRY(rule_for(p.schema)));
    else
      pair.add(" json-value");
    u32 pair_rule = new_rule(), first_here = new_rule(), after_here = new_rule();
    TRY(emit(pair_rule, pair));
    GbnfText from_first, from_after;
    from_first.add(" {}-{} {}-{}", prefix_, pair_rule, prefix_, after);
    from_after.add(" \",\" json-space {}-{} {}-{}", prefix_, pair_rule, prefix_, after);
    if (!p.required) {
      from_first.add(" | {}-{}", prefix_, first);
      from_after.add(" | {}-{}", prefix_, after);
    }
    TRY(emit(first_here, from_first));
    TRY(emit(after_here, from_after));
    first = first_here, after = after_here;
  }
  out.add(" \"{{\" json-space {}-{} json-space \"}\"", prefix_, first);
  return {};
}

// Writes the rule for a "name": value pair whose name is not in `known`.
Result<u32> SchemaCompiler::additional_pair(json::Value additional, const Vector<Property>& known) {
  Vector<std::string_view> names;
  for (const Property& p : known) {
    for (char c : p.name)
      if (static_cast<u8>(c) < 0x20 || c == '"' || c == '\\')
        return error("additionalProperties beside a name that needs escapes:", p.name);
    TRY(names.push_back(p.name));
  }
  GbnfText text;
  text.add(" \"\\\"\"");
  if (names.empty()) {
    text.add(" json-char*");
  } else {
    std::sort(names.begin(), names.end());
    TRY(other_names(names.view(), 0, text));
  }
  text.add(" \"\\\":\" json-blank");
  if (additional.is_object())
    reference(text, TRY(rule_for(additional)));
  else
    text.add(" json-value");
  u32 rule = new_rule();
  TRY(emit(rule, text));
  return rule;
}

// Writes the strings that are none of `names`: it follows their common beginnings and leaves at any
// character that no name has there. Characters on the way are never escaped.
Result<void> SchemaCompiler::other_names(std::span<const std::string_view> names, u32 depth,
                                         GbnfText& out) {
  if (depth > 256) return error("a property's name is too long beside additionalProperties");
  bool ends_here = names[0].size() == depth;  // sorted, so the shortest is first
  names = names.subspan(ends_here ? 1 : 0);
  if (names.empty()) {
    out.add(" json-char+");
    return {};
  }
  auto head = [depth](std::string_view name) {
    std::string_view rest = name.substr(depth);
    return rest.substr(0, utf8::decode(rest).bytes);
  };
  out.add(" ([^\"\\\\\\x00-\\x1f\\x7f");
  for (usize i = 0; i < names.size(); i++) {
    std::string_view h = head(names[i]);
    if (i > 0 && h == head(names[i - 1])) continue;
    out.add(h == "]" || h == "[" || h == "-" || h == "^" ? "\\{}" : "{}", h);
  }
  out.add("] json-char*");
  for (usize first = 0, end = 0; first < names.size(); first = end) {
    std::string_view h = head(names[first]);
    while (end < names.size() && head(names[end]) == h) end++;
    out.add(" | ").literal(h);
    TRY(other_names(names.subspan(first, end - first), depth + static_cast<u32>(h.size()), out));
  }
  out.add(ends_here ? ")" : ")?");
  return {};
}

// ---- arrays and strings ---------------------------------------------------------------------

Result<void> SchemaCompiler::array(json::Value schema, GbnfText& out) {
  u32 least = TRY(count(schema, "minItems", 0)), most = TRY(count(schema, "maxItems", kNoCount));
  if (least > most) return error("minItems is above maxItems");
  json::Value prefix = schema.find("prefixItems"), items = schema.find("items");
  u32 fixed = std::min(prefix.size(), most);
  bool more = items.kind() != json::Kind::kFalse && !(prefix.present() && !items.present());
  if (least > fixed && !more) return error("minItems is above the number of items described");
  GbnfText item;
  if (!more)
    most = fixed;
  else if (items.is_object())
    reference(item, TRY(rule_for(items)));
  else
    item.add(" json-value");
  out.add(" \"[\" json-space");
  u32 place = 0;
  for (json::Value one : prefix.elements()) {
    if (place == fixed) break;
    if (place++ > 0) out.add(" \",\" json-space");
    reference(out, TRY(rule_for(one)));
  }
  u32 rest_least = least > fixed ? least - fixed : 0;
  u32 rest_most = most == kNoCount ? kNoCount : most - fixed;
  if (rest_most > 0 && fixed > 0) {
    out.add(" (\",\" json-space{})", item.view());
    repetition(out, rest_least, rest_most);
    out.add(" json-space");
  } else if (rest_most > 0) {
    out.add(" ({} (\",\" json-space{})", item.view(), item.view());
    repetition(out, rest_least > 0 ? rest_least - 1 : 0,
               rest_most == kNoCount ? kNoCount : rest_most - 1);
    out.add(rest_least > 0 ? " json-space)" : " json-space)?");
  } else if (fixed > 0) {
    out.add(" json-space");
  }
  out.add(" \"]\"");
  return item.status();
}

Result<void> SchemaCompiler::string(json::Value schema, GbnfText& out) {
  u32 least = TRY(count(schema, "minLength", 0)), most = TRY(count(schema, "maxLength", kNoCount));
  if (least > most) return error("minLength is above maxLength");
  bool bounded = least > 0 || most != kNoCount;
  json::Value pattern = schema.find("pattern"), form = schema.find("format");
  if (pattern.present() && form.present()) return error("pattern beside format is not supported");
  if ((pattern.present() || form.present()) && bounded)
    return error("a length beside pattern or format is not supported");
  if (form.present()) return format(form.text(), out);
  if (pattern.present()) {
    const char* what = "pattern must be a string";
    if (!pattern.is_string()) return error(what);
    TRY(check_count("bytes in a pattern", pattern.text().size(), kMaxPattern));
    out.add(" \"\\\"\"");
    Result<void> done = regex_to_gbnf(pattern.text(), out, what);
    if (!done.has_value()) return error(what, pattern.text());
    out.add(" \"\\\"\"");
    return {};
  }
  if (!bounded) {
    out.add(" json-string");
    return {};
  }
  out.add(" \"\\\"\" json-char");
  repetition(out, least, most);
  out.add(" \"\\\"\"");
  return {};
}

Result<void> SchemaCompiler::format(std::string_view name, GbnfText& out) {
  for (const Format& f : kFormats) {
    if (f.name != name) continue;
    const char* what = "format";
    out.add(" \"\\\"\"");
    TRY(regex_to_gbnf(f.pattern, out, what));
    out.add(" \"\\\"\"");
    return {};
  }
  return error("unsupported format", name);
}

// ---- numbers --------------------------------------------------------------------------------

namespace {

// Writes the decimal numbers between `low` and `high`, which have the same length.
void digit_range(std::string_view low, std::string_view high, GbnfText& out) {
  if (low.empty()) return;
  u32 rest = static_cast<u32>(low.size() - 1);
  auto uniform = [](std::string_view text, char digit) {
    return text.find_first_not_of(digit) == std::string_view::npos;
  };
  if (uniform(low, '0') && uniform(high, '9')) {
    out.add(" [0-9]{{{}}", rest + 1);
    return;
  }
  if (low[0] == high[0]) {
    out.add(" \"{}\"", low[0]);
    return digit_range(low.substr(1), high.substr(1), out);
  }
  if (rest == 0) {
    out.add(" [{}-{}]", low[0], high[0]);
    return;
  }
  char nines[20], zeros[20];
  std::fill_n(nines, rest, '9');
  std::fill_n(zeros, rest, '0');
  char first = low[0], last = high[0];
  out.add(" (");
  if (!uniform(low.substr(1), '0')) {
    out.add(" \"{}\"", first++);
    digit_range(low.substr(1), {nines, rest}, out);
    out.add(first <= last ? " |" : "");
  }
  bool cut_high = !uniform(high.substr(1), '9');
  if (cut_high) last--;
  if (first <= last) {
    out.add(" [{}-{}] [0-9]{{{}}", first, last, rest);
    if (cut_high) out.add(" |");
  }
  if (cut_high) {
    out.add(" \"{}\"", high[0]);
    digit_range({zeros, rest}, high.substr(1), out);
  }
  out.add(" )");
}

// Writes the whole numbers of [low, high], 0 <= low. Without an upper limit if high is kUnbounded.
void magnitude_range(i64 low, i64 high, GbnfText& out) {
  char low_text[24], high_text[24];
  out.add(" (");
  bool first = true;
  i64 from = low;
  while (from <= high) {
    std::string_view a = base::format_into(low_text, "{}", from);
    i64 end = 9;  // the last number with that many digits
    for (usize i = 1; i < a.size(); i++) end = end * 10 + 9;
    if (!first) out.add(" |");
    first = false;
    if (high == kUnbounded && a.size() >= 16) {
      out.add(" [1-9] [0-9]{{15,17}");
      break;
    }
    digit_range(a, base::format_into(high_text, "{}", std::min(end, high)), out);
    from = end + 1;
  }
  out.add(" )");
}

}  // namespace

void integer_range(i64 low, i64 high, GbnfText& out) {
  bool negative = low < 0, positive = high >= 0;
  if (negative) {
    out.add(" \"-\"");
    magnitude_range(std::max<i64>(1, -high), low == -kUnbounded ? kUnbounded : -low, out);
  }
  if (positive) {
    if (negative) out.add(" |");
    magnitude_range(std::max<i64>(low, 0), high, out);
  }
}

Result<NumberBounds> SchemaCompiler::bounds(json::Value schema) {
  NumberBounds b;
  struct Row {
    std::string_view keyword;
    bool low, exclusive;
  };
  constexpr Row kRows[] = {{"minimum", true, false},
                           {"maximum", false, false},
                           {"exclusiveMinimum", true, true},
                           {"exclusiveMaximum", false, true}};
  for (const Row& row : kRows) {
    json::Value value = schema.find(row.keyword);
    if (!value.present()) continue;
    i64 milli = value.scaled(3).value_or(kUnbounded);
    constexpr i64 kLimit = 1'000'000'000'000'000;
    if (!value.is_number() || milli >= kLimit || milli <= -kLimit)
      return error("bound must be a number below 10^12:", row.keyword);
    i64 down = milli >= 0 ? milli / 1000 : -((-milli + 999) / 1000);
    bool whole = value.integer().has_value();
    i64 up = whole ? down : down + 1;
    if (row.low && up >= b.low) b.low = up, b.open_low = row.exclusive && whole;
    if (!row.low && down <= b.high) b.high = down, b.open_high = row.exclusive && whole;
  }
  return b;
}

Result<void> SchemaCompiler::integer(json::Value schema, GbnfText& out) {
  NumberBounds b = TRY(bounds(schema));
  i64 low = b.low + (b.open_low ? 1 : 0), high = b.high - (b.open_high ? 1 : 0);
  if (low == -kUnbounded && high == kUnbounded) {
    out.add(" json-integer");
    return {};
  }
  if (low > high) return error("no number lies within the bounds");
  integer_range(low, high, out);
  return {};
}

// The whole part decides, except at a bound, where only zeros may follow the point, or at least one
// other digit if the bound is excluded.
Result<void> SchemaCompiler::number(json::Value schema, GbnfText& out) {
  NumberBounds b = TRY(bounds(schema));
  if (b.low == -kUnbounded && b.high == kUnbounded) {
    out.add(" json-number");
    return {};
  }
  if (b.low > b.high || (b.low == b.high && (b.open_low || b.open_high)))
    return error("no number lies within the bounds, or none that whole-number steps reach");
  constexpr std::string_view kFraction = " (\".\" [0-9]{1,12})?";
  constexpr std::string_view kNonZero = " \".\" [0-9]{0,8} [1-9]";
  bool first = true;
  // One sign at a time: magnitudes from `near` (closer to zero) to `far`.
  auto side = [&](const char* sign, i64 near, i64 far, bool open_near, bool open_far) {
    auto begin = [&] {
      out.add(first ? " {}" : " | {}", sign);
      first = false;
    };
    if (open_near && near < far) begin(), out.add(" \"{}\"{}", near, kNonZero);
    i64 inner = near + (open_near ? 1 : 0), outer = far == kUnbounded ? far : far - 1;
    if (inner <= outer) begin(), magnitude_range(inner, outer, out), out.add("{}", kFraction);
    if (far != kUnbounded && !open_far && !(open_near && near == far))
      begin(), out.add(" \"{}\" (\".\" \"0\"{{1,6})?", far);
  };
  if (b.low < 0)
    side("\"-\"", b.high < 0 ? -b.high : 0, b.low == -kUnbounded ? kUnbounded : -b.low,
         b.high < 0 ? b.open_high : b.high == 0 && b.open_high, b.open_low);
  if (b.high >= 0 && !(b.high == 0 && b.open_high))
    side("", std::max<i64>(b.low, 0), b.high, b.low >= 0 && b.open_low, b.open_high);
  if (first) return error("no number lies within the bounds");
  return {};
}

}  // namespace ai
