// SPDX-License-Identifier: GPL-2.0-or-later
// Implements filters: one row and one small function each, after Jinja 3.1's list of built-in
// filters.
#include <charconv>

#include "ai/text/jinja_interpreter.h"

namespace ai::jinja {
namespace {

Result<Value> trim(Interpreter& in, Value input, const Arguments& arguments) {
  std::string_view text = TRY(in.text_of(input));
  Value characters = arguments.get(0, "chars");
  return string(strip(text, characters.is(Kind::kString) ? characters.text() : "", true, true));
}

Result<Value> length_of(Interpreter& in, Value input, const Arguments& arguments) {
  return integer(static_cast<i64>(TRY(in.length(arguments.offset, input))));
}

Result<Value> to_json(Interpreter& in, Value input, const Arguments& arguments) {
  JsonStyle style;
  Value indent = arguments.get(0, "indent");
  if (indent.is_number()) {
    if (indent.number() < 0 || indent.number() > 16)
      return in.fail(arguments.offset, "tojson() needs an indent of 0 to 16");
    style.indent = indent.number();
    style.item_separator = ",";
  }
  Value separators = arguments.get(99, "separators");
  if (separators.is_sequence() && separators.list->size == 2 &&
      separators.list->items[0].is(Kind::kString) && separators.list->items[1].is(Kind::kString)) {
    style.item_separator = separators.list->items[0].text();
    style.key_separator = separators.list->items[1].text();
  }
  style.sort_keys = truth(arguments.get(99, "sort_keys"));
  String out;
  TRY(append_json(in, arguments.offset, input, style, out));
  return in.keep(out.view());
}

// Returns an attribute of an object; "a.b" goes deeper.
Result<Value> attribute_path(Interpreter& in, u32 offset, Value object, std::string_view path) {
  while (!path.empty()) {
    usize point = path.find('.');
    std::string_view name = path.substr(0, point);
    i64 index = 0;
    auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), index);
    bool number = status == std::errc() && end == name.data() + name.size();
    object = TRY(in.item(offset, object, number ? integer(index) : string(name)));
    path = point == std::string_view::npos ? "" : path.substr(point + 1);
  }
  return object;
}

Result<Value> attribute_of(Interpreter& in, u32 offset, Value object, const Value& path) {
  if (path.is(Kind::kString)) return attribute_path(in, offset, object, path.text());
  return path.is_number() ? in.item(offset, object, path) : Result<Value>(object);
}

Result<Value> join(Interpreter& in, Value input, const Arguments& arguments) {
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  std::string_view separator = TRY(in.text_of(arguments.get(0, "d", string(""))));
  Value path = arguments.get(1, "attribute");
  String out;
  for (usize i = 0; i < items.size(); i++) {
    Value item = TRY(attribute_of(in, arguments.offset, items[i], path));
    std::string_view text = TRY(in.text_of(item));
    TRY(in.spend(1 + (text.size() + separator.size()) / 64));
    if (i > 0) TRY(out.append(separator));
    TRY(out.append(text));
  }
  return in.keep(out.view());
}

Result<Value> fallback(Interpreter&, Value input, const Arguments& arguments) {
  bool also_false = truth(arguments.get(1, "boolean"));
  bool missing = input.is(Kind::kUndefined) || (also_false && !truth(input));
  return missing ? arguments.get(0, "default_value", string("")) : input;
}

template <const char* kHow>
Result<Value> cased(Interpreter& in, Value input, const Arguments&) {
  std::string_view text = TRY(in.text_of(input));
  return change_case(in, text, kHow);
}
constexpr char kUpper[] = "upper", kLower[] = "lower", kWords[] = "words",
               kCapitalize[] = "capitalize";

Result<Value> replace(Interpreter& in, Value input, const Arguments& arguments) {
  std::string_view text = TRY(in.text_of(input));
  std::string_view from = TRY(in.text_of(arguments.get(0, "old")));
  std::string_view to = TRY(in.text_of(arguments.get(1, "new")));
  Value most = arguments.get(2, "count");
  return replace_text(in, text, from, to, most.is_number() ? most.number() : -1);
}

Result<Value> first(Interpreter& in, Value input, const Arguments& arguments) {
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  return items.empty() ? undefined("the first of nothing") : items.front();
}

Result<Value> last(Interpreter& in, Value input, const Arguments& arguments) {
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  return items.empty() ? undefined("the last of nothing") : items.back();
}

Result<List*> copied(Interpreter& in, u32 offset, const Value& input) {
  std::span<Value> items = TRY(in.iterate(offset, input));
  List* list = TRY(in.new_list());
  TRY(in.spend(items.size()));
  for (const Value& item : items) TRY(list->append(in.arena(), item));
  return list;
}

Result<Value> list(Interpreter& in, Value input, const Arguments& arguments) {
  return list_value(TRY(copied(in, arguments.offset, input)));
}

Result<Value> items(Interpreter& in, Value input, const Arguments& arguments) {
  if (input.is(Kind::kUndefined)) return list_value(TRY(in.new_list()));
  if (!input.is(Kind::kDict))
    return in.fail(arguments.offset, "items needs a dict, not {}", kind_name(input.kind));
  Method method{input, "items"};
  return call_method(in, method, {});
}

// Like Jinja's, map and the four filters of sift() find nothing in none, false, 0 and "".
Result<Value> map(Interpreter& in, Value input, const Arguments& arguments) {
  if (!truth(input)) return list_value(TRY(in.new_list()));
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  Value path = arguments.get(99, "attribute");
  Filter filter = nullptr;
  if (path.is(Kind::kNone)) {
    Value name = arguments.get(0, "filter");
    if (name.is(Kind::kString)) filter = find_filter(name.text());
    if (filter == nullptr) return in.fail(arguments.offset, "map needs a filter or an attribute");
  }
  Arguments rest = arguments.without_first();
  List* list = TRY(in.new_list());
  for (const Value& item : items) {
    TRY(in.spend(1));
    Value value = TRY(filter != nullptr ? filter(in, item, rest)
                                        : attribute_of(in, arguments.offset, item, path));
    if (filter == nullptr && value.is(Kind::kUndefined))
      value = arguments.get(99, "default", value);
    TRY(list->append(in.arena(), value));
  }
  return list_value(list);
}

// Implements select, reject, selectattr and rejectattr: keeps the items that pass a test, or whose
// attribute does.
Result<Value> sift(Interpreter& in, const Value& input, Arguments arguments, bool by_attribute,
                   bool wanted) {
  if (!truth(input)) return list_value(TRY(in.new_list()));
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  Value path = none();
  if (by_attribute) {
    path = arguments.get(0, "attribute");
    arguments = arguments.without_first();
  }
  Value name = arguments.get(0, "test");
  Test test = name.is(Kind::kString) ? find_test(name.text()) : nullptr;
  if (test == nullptr && !name.is(Kind::kNone)) return in.fail(arguments.offset, "unknown test");
  Arguments rest = arguments.without_first();
  List* list = TRY(in.new_list());
  for (const Value& item : items) {
    TRY(in.spend(1));
    Value subject = TRY(attribute_of(in, arguments.offset, item, path));
    bool passes = test != nullptr ? TRY(test(in, subject, rest)) : truth(subject);
    if (passes == wanted) TRY(list->append(in.arena(), item));
  }
  return list_value(list);
}
template <bool kByAttribute, bool kWanted>
Result<Value> sifted(Interpreter& in, Value input, const Arguments& arguments) {
  return sift(in, input, arguments, kByAttribute, kWanted);
}

Result<Value> to_string(Interpreter& in, Value input, const Arguments&) {
  return string(TRY(in.text_of(input)));
}

Result<Value> to_integer(Interpreter& in, Value input, const Arguments& arguments) {
  if (input.is_number()) return integer(input.number());
  if (!input.is(Kind::kString) && !input.is(Kind::kFloat))
    return arguments.get(0, "default", integer(0));
  std::string_view text = strip(input.text(), "", true, true);
  if (text.starts_with('+')) text.remove_prefix(1);
  i64 value = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool fraction = end != text.data() + text.size() && *end == '.' &&
                  text.find_first_not_of("0123456789", static_cast<usize>(end - text.data()) + 1) ==
                      std::string_view::npos;
  bool whole = end == text.data() + text.size();
  if (status == std::errc::result_out_of_range)
    return in.fail(arguments.offset, "this number is too large");
  if (status != std::errc() || (!whole && !fraction))
    return arguments.get(0, "default", integer(0));
  return integer(value);
}

// Indents every line but the first (or all, with first=true). Blank lines only with blank=true.
Result<Value> indent(Interpreter& in, Value input, const Arguments& arguments) {
  std::string_view text = TRY(in.text_of(input));
  Value width = arguments.get(0, "width", integer(4));
  bool also_first = truth(arguments.get(1, "first"));
  bool also_blank = truth(arguments.get(2, "blank"));
  String spaces;
  if (width.is(Kind::kString)) {
    TRY(spaces.append(width.text()));
  } else {
    if (!width.is_number() || width.number() < 0 || width.number() > 256)
      return in.fail(arguments.offset, "indent() needs a width of 0 to 256");
    for (i64 i = 0; i < width.number(); i++) TRY(spaces.push_back(' '));
  }
  String out;
  for (bool is_first = true;; is_first = false) {
    FirstLine line = first_line(text);
    TRY(in.spend(1 + (line.size + spaces.size()) / 64));
    bool indented = is_first ? also_first : also_blank || line.size > 0;
    if (indented) TRY(out.append(spaces.view()));
    TRY(out.append(text.substr(0, line.size)));
    if (line.whole == line.size) break;
    TRY(out.push_back('\n'));
    text.remove_prefix(line.whole);
  }
  return in.keep(out.view());
}

// Texts compare without regard to case unless `case_sensitive` is set.
Result<Value> sort_key(Interpreter& in, const Arguments& arguments, const Value& item,
                       bool case_sensitive) {
  Value key = TRY(attribute_of(in, arguments.offset, item, arguments.get(99, "attribute")));
  if (!key.is(Kind::kString) || case_sensitive) return key;
  return change_case(in, key.text(), "lower");
}

Result<Value> unique(Interpreter& in, Value input, const Arguments& arguments) {
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  bool case_sensitive = truth(arguments.get(0, "case_sensitive"));
  List* keys = TRY(in.new_list());
  List* kept = TRY(in.new_list());
  for (const Value& item : items) {
    Value key = TRY(sort_key(in, arguments, item, case_sensitive));
    if (TRY(in.contains(arguments.offset, list_value(keys), key))) continue;
    TRY(keys->append(in.arena(), key));
    TRY(kept->append(in.arena(), item));
  }
  return list_value(kept);
}

struct Keyed {
  Value key, item;
};

// Jinja compares lists of keys, so that equal keys need no order.
Result<bool> sorts_before(Interpreter& in, u32 offset, const Value& a, const Value& b) {
  bool ordered = a.is(Kind::kString) || a.is_number();
  if (!ordered && TRY(in.equal(a, b))) return false;
  return in.less(offset, a, b);
}

// Merges the sorted halves [0, middle) and [middle, size) of `from` into `to`. Equal items keep
// their order.
Result<void> merge_halves(Interpreter& in, u32 offset, std::span<Keyed> from, usize middle,
                          Keyed* to, bool reverse) {
  usize left = 0, right = middle;
  while (left < middle || right < from.size()) {
    TRY(in.spend(1));
    bool take_right = left == middle;
    if (!take_right && right < from.size()) {
      take_right = TRY(reverse ? sorts_before(in, offset, from[left].key, from[right].key)
                               : sorts_before(in, offset, from[right].key, from[left].key));
    }
    *to++ = take_right ? from[right++] : from[left++];
  }
  return {};
}

Result<void> merge_sort(Interpreter& in, u32 offset, std::span<Keyed> items, bool reverse) {
  Keyed* room = TRY(in.arena().array<Keyed>(items.size()));
  for (usize width = 1; width < items.size(); width *= 2) {
    for (usize at = 0; at < items.size(); at += 2 * width) {
      usize size = std::min(2 * width, items.size() - at);
      TRY(merge_halves(in, offset, items.subspan(at, size), std::min(width, size), room + at,
                       reverse));
    }
    std::copy(room, room + items.size(), items.begin());
  }
  return {};
}

Result<Value> sort(Interpreter& in, Value input, const Arguments& arguments) {
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  bool reverse = truth(arguments.get(0, "reverse"));
  bool case_sensitive = truth(arguments.get(1, "case_sensitive"));
  Keyed* keyed = TRY(in.arena().array<Keyed>(items.size()));
  for (usize i = 0; i < items.size(); i++)
    keyed[i] = {TRY(sort_key(in, arguments, items[i], case_sensitive)), items[i]};
  TRY(merge_sort(in, arguments.offset, {keyed, items.size()}, reverse));
  List* sorted = TRY(in.new_list());
  for (usize i = 0; i < items.size(); i++) TRY(sorted->append(in.arena(), keyed[i].item));
  return list_value(sorted);
}

Result<Value> dict_sort(Interpreter& in, Value input, const Arguments& arguments) {
  Value pairs = TRY(items(in, input, arguments));
  bool by_value =
      arguments.get(1, "by").is(Kind::kString) && arguments.get(1, "by").text() == "value";
  Value path = integer(by_value ? 1 : 0);
  Value reverse = arguments.get(2, "reverse", boolean(false));
  NamedValue named[] = {{"attribute", path},
                        {"case_sensitive", arguments.get(0, "case_sensitive", boolean(false))},
                        {"reverse", reverse}};
  Arguments how{arguments.offset, {}, named};
  return sort(in, pairs, how);
}

Result<Value> reverse(Interpreter& in, Value input, const Arguments& arguments) {
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  List* list = TRY(in.new_list());
  TRY(in.spend(items.size()));
  for (usize i = items.size(); i > 0; i--) TRY(list->append(in.arena(), items[i - 1]));
  if (!input.is(Kind::kString)) return list_value(list);
  String out;
  for (const Value& character : list->view()) TRY(out.append(character.text()));
  return in.keep(out.view());
}

Result<Value> unchanged(Interpreter&, Value input, const Arguments&) {
  return input;
}

Result<Value> absolute(Interpreter& in, Value input, const Arguments& arguments) {
  if (input.is(Kind::kFloat) && input.text().starts_with('-'))
    return text_value(Kind::kFloat, input.text().substr(1));
  if (input.is(Kind::kFloat) || (input.is_number() && input.number() >= 0)) return input;
  return in.arithmetic(arguments.offset, Operator::kSubtract, integer(0), input);
}

template <bool kLargest>
Result<Value> extreme(Interpreter& in, Value input, const Arguments& arguments) {
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  Value best = undefined("the best of nothing"), best_key;
  for (usize i = 0; i < items.size(); i++) {
    Value key = TRY(sort_key(in, arguments, items[i], false));
    bool better = i == 0 || TRY(kLargest ? in.less(arguments.offset, best_key, key)
                                         : in.less(arguments.offset, key, best_key));
    if (!better) continue;
    best = items[i];
    best_key = key;
  }
  return best;
}

Result<Value> sum(Interpreter& in, Value input, const Arguments& arguments) {
  std::span<Value> items = TRY(in.iterate(arguments.offset, input));
  Value path = arguments.get(0, "attribute");
  Value total = arguments.get(1, "start", integer(0));
  for (const Value& item : items) {
    Value part = TRY(attribute_of(in, arguments.offset, item, path));
    total = TRY(in.arithmetic(arguments.offset, Operator::kAdd, total, part));
  }
  return total;
}

Result<Value> attr(Interpreter& in, Value input, const Arguments& arguments) {
  Value name = arguments.get(0, "name");
  if (!name.is(Kind::kString)) return in.fail(arguments.offset, "attr() needs a name");
  return in.attribute(arguments.offset, input, name.text());
}

// HTML entities; chat templates have autoescape off, so only an explicit "escape" comes here.
Result<Value> escape(Interpreter& in, Value input, const Arguments&) {
  std::string_view text = TRY(in.text_of(input));
  TRY(in.spend(text.size() / 16));
  String out;
  for (char c : text) {
    constexpr std::string_view kSpecial = "&<>\"'";
    constexpr std::string_view kEntities[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    usize special = kSpecial.find(c);
    TRY(special == std::string_view::npos ? out.push_back(c) : out.append(kEntities[special]));
  }
  return in.keep(out.view());
}

struct Row {
  std::string_view name;
  Filter filter;
};
constexpr Row kRows[] = {
    {"abs", absolute},
    {"attr", attr},
    {"capitalize", cased<kCapitalize>},
    {"count", length_of},
    {"d", fallback},
    {"default", fallback},
    {"dictsort", dict_sort},
    {"e", escape},
    {"escape", escape},
    {"first", first},
    {"forceescape", escape},
    {"format", format_percent},
    {"indent", indent},
    {"int", to_integer},
    {"items", items},
    {"join", join},
    {"last", last},
    {"length", length_of},
    {"list", list},
    {"lower", cased<kLower>},
    {"map", map},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"reject", sifted<false, false>},
    {"rejectattr", sifted<true, false>},
    {"replace", replace},
    {"reverse", reverse},
    {"safe", unchanged},
    {"select", sifted<false, true>},
    {"selectattr", sifted<true, true>},
    {"sort", sort},
    {"string", to_string},
    {"sum", sum},
    {"title", cased<kWords>},
    {"tojson", to_json},
    {"trim", trim},
    {"unique", unique},
    {"upper", cased<kUpper>},
};

}  // namespace

Filter find_filter(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.filter;
  }
  return nullptr;
}

}  // namespace ai::jinja
