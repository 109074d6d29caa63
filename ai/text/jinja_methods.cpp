// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the methods of Python's str, list and dict that chat templates call, one row each.
#include "ai/text/jinja_interpreter.h"
#include "ai/tokenizer/unicode.h"
#include "kernel/base/utf8.h"

namespace ai::jinja {
namespace {

using Answer = Result<Value>;
constexpr i64 kAll = -1;

i64 number_or(const Value& value, i64 otherwise) {
  return value.is_number() ? value.number() : otherwise;
}

Result<std::string_view> wanted_text(Interpreter& in, const Arguments& arguments, usize position) {
  Value value = arguments.get(position, "");
  if (!value.is(Kind::kString))
    return in.fail(arguments.offset, "this method needs a str, not {}", kind_name(value.kind));
  return value.text();
}

// ---- str -----------------------------------------------------------------------------------

template <bool kLeft, bool kRight>
Answer stripped(Interpreter&, Value self, const Arguments& arguments) {
  Value characters = arguments.get(0, "chars");
  return string(
      strip(self.text(), characters.is(Kind::kString) ? characters.text() : "", kLeft, kRight));
}

Result<void> add_part(Interpreter& in, List& parts, std::string_view part) {
  TRY(in.spend(1));
  return parts.append(in.arena(), string(part));
}

// Without a separator, split() splits at runs of white space and returns no empty parts.
Answer split_spaces(Interpreter& in, std::string_view text, i64 most) {
  List* parts = TRY(in.new_list());
  TRY(in.spend(text.size() / 16));
  for (;; most--) {
    text = strip(text, "", true, false);
    if (text.empty()) break;
    usize end = 0;
    auto space = [&text](usize at) { return is_space(utf8::decode(text.substr(at)).code_point); };
    while (most != 0 && end < text.size() && !space(end))
      end += utf8::decode(text.substr(end)).bytes;
    if (most == 0) {
      TRY(add_part(in, *parts, text));
      break;
    }
    TRY(add_part(in, *parts, text.substr(0, end)));
    text.remove_prefix(end);
  }
  return list_value(parts);
}

Answer split_spaces_right(Interpreter& in, std::string_view text, i64 most) {
  List* parts = TRY(in.new_list());
  TRY(in.spend(text.size() / 16));
  for (;; most--) {
    text = strip(text, "", false, true);
    if (text.empty()) break;
    usize begin = most == 0 ? 0 : text.size();
    while (begin > 0) {
      usize before = previous_character(text, begin);
      if (is_space(utf8::decode(text.substr(before)).code_point)) break;
      begin = before;
    }
    TRY(add_part(in, *parts, text.substr(begin)));
    text = text.substr(0, begin);
  }
  std::reverse(parts->items, parts->items + parts->size);
  return list_value(parts);
}

Answer split(Interpreter& in, Value self, const Arguments& arguments) {
  Value separator = arguments.get(0, "sep");
  i64 most = number_or(arguments.get(1, "maxsplit"), kAll);
  std::string_view text = self.text();
  if (!separator.is(Kind::kString)) return split_spaces(in, text, most);
  if (separator.size == 0) return in.fail(arguments.offset, "split() needs a separator");
  List* parts = TRY(in.new_list());
  TRY(in.spend(text.size() / 16));
  for (; most != 0; most--) {
    usize at = text.find(separator.text());
    if (at == std::string_view::npos) break;
    TRY(add_part(in, *parts, text.substr(0, at)));
    text.remove_prefix(at + separator.size);
  }
  TRY(add_part(in, *parts, text));
  return list_value(parts);
}

Answer split_right(Interpreter& in, Value self, const Arguments& arguments) {
  Value separator = arguments.get(0, "sep");
  i64 most = number_or(arguments.get(1, "maxsplit"), kAll);
  if (most == kAll) return split(in, self, arguments);
  if (!separator.is(Kind::kString)) return split_spaces_right(in, self.text(), most);
  if (separator.size == 0) return in.fail(arguments.offset, "rsplit() needs a separator");
  std::string_view text = self.text();
  TRY(in.spend(text.size() / 16));
  List* parts = TRY(in.new_list());
  for (; most != 0; most--) {
    usize at = text.rfind(separator.text());
    if (at == std::string_view::npos) break;
    TRY(add_part(in, *parts, text.substr(at + separator.size)));
    text = text.substr(0, at);
  }
  TRY(add_part(in, *parts, text));
  std::reverse(parts->items, parts->items + parts->size);
  return list_value(parts);
}

Answer split_lines(Interpreter& in, Value self, const Arguments& arguments) {
  bool keep_ends = truth(arguments.get(0, "keepends"));
  List* parts = TRY(in.new_list());
  std::string_view text = self.text();
  TRY(in.spend(text.size() / 16));
  while (!text.empty()) {
    FirstLine line = first_line(text);
    TRY(add_part(in, *parts, text.substr(0, keep_ends ? line.whole : line.size)));
    text.remove_prefix(line.whole);
  }
  return list_value(parts);
}

// Accepts one text or a tuple of them.
template <bool kStart>
Answer begins_or_ends(Interpreter& in, Value self, const Arguments& arguments) {
  auto fits = [&self](std::string_view part) {
    return kStart ? self.text().starts_with(part) : self.text().ends_with(part);
  };
  Value parts = arguments.get(0, "prefix");
  if (!parts.is_sequence()) return boolean(fits(TRY(wanted_text(in, arguments, 0))));
  for (const Value& part : parts.list->view()) {
    TRY(in.spend(1));
    if (part.is(Kind::kString) && fits(part.text())) return boolean(true);
  }
  return boolean(false);
}

template <bool kStart>
Answer removed(Interpreter& in, Value self, const Arguments& arguments) {
  std::string_view part = TRY(wanted_text(in, arguments, 0));
  std::string_view text = self.text();
  bool fits = kStart ? text.starts_with(part) : text.ends_with(part);
  if (!fits) return self;
  return string(kStart ? text.substr(part.size()) : text.substr(0, text.size() - part.size()));
}

Answer replace(Interpreter& in, Value self, const Arguments& arguments) {
  std::string_view from = TRY(wanted_text(in, arguments, 0));
  std::string_view to = TRY(wanted_text(in, arguments, 1));
  i64 most = number_or(arguments.get(2, "count"), kAll);
  return replace_text(in, self.text(), from, to, most);
}

// Returns what is before the separator, the separator, and what is behind it.
template <bool kFirst>
Answer partition(Interpreter& in, Value self, const Arguments& arguments) {
  std::string_view separator = TRY(wanted_text(in, arguments, 0));
  if (separator.empty()) return in.fail(arguments.offset, "partition() needs a separator");
  std::string_view text = self.text();
  TRY(in.spend(text.size() / 16));
  usize at = kFirst ? text.find(separator) : text.rfind(separator);
  std::string_view parts[] = {text, "", ""};
  if (at == std::string_view::npos) {
    if (!kFirst) std::swap(parts[0], parts[2]);
  } else {
    parts[0] = text.substr(0, at);
    parts[1] = separator;
    parts[2] = text.substr(at + separator.size());
  }
  List* list = TRY(in.new_list());
  for (std::string_view part : parts) TRY(add_part(in, *list, part));
  return list_value(list, Kind::kTuple);
}

enum class Side : u8 { kLeft, kRight, kMiddle };  // where the text is put

template <Side kSide>
Answer padded(Interpreter& in, Value self, const Arguments& arguments) {
  Value width = arguments.get(0, "width");
  Value filler = arguments.get(1, "fillchar", string(" "));
  if (!width.is_number()) return in.fail(arguments.offset, "this method needs a width");
  if (!filler.is(Kind::kString) || count_characters(filler.text()) != 1)
    return in.fail(arguments.offset, "this method fills with one character");
  i64 count = static_cast<i64>(count_characters(self.text()));
  if (width.number() <= count) return self;
  i64 missing = width.number() - count;
  TRY(in.spend(static_cast<u64>(missing)));
  i64 left = kSide == Side::kLeft    ? 0
             : kSide == Side::kRight ? missing
                                     : missing / 2 + (missing & width.number() & 1);
  String out;
  for (i64 i = 0; i < left; i++) TRY(out.append(filler.text()));
  TRY(out.append(self.text()));
  for (i64 i = left; i < missing; i++) TRY(out.append(filler.text()));
  return in.keep(out.view());
}

template <const char* kHow>
Answer cased(Interpreter& in, Value self, const Arguments&) {
  return change_case(in, self.text(), kHow);
}
constexpr char kUpper[] = "upper", kLower[] = "lower", kTitle[] = "title",
               kCapitalize[] = "capitalize";

template <bool kFirst>
Answer find(Interpreter& in, Value self, const Arguments& arguments) {
  std::string_view part = TRY(wanted_text(in, arguments, 0));
  TRY(in.spend(self.size / 16));
  usize at = kFirst ? self.text().find(part) : self.text().rfind(part);
  if (at == std::string_view::npos) return integer(-1);
  return integer(static_cast<i64>(count_characters(self.text().substr(0, at))));
}

Answer count_text(Interpreter& in, Value self, const Arguments& arguments) {
  std::string_view part = TRY(wanted_text(in, arguments, 0));
  std::string_view text = self.text();
  TRY(in.spend(text.size() / 16));
  if (part.empty()) return integer(static_cast<i64>(count_characters(text)) + 1);
  i64 count = 0;
  for (usize at; (at = text.find(part)) != std::string_view::npos; count++)
    text.remove_prefix(at + part.size());
  return integer(count);
}

Answer join(Interpreter& in, Value self, const Arguments& arguments) {
  Filter filter = find_filter("join");
  Value separator = self;
  Arguments how{arguments.offset, {&separator, 1}, {}};
  return filter(in, arguments.get(0, "iterable"), how);
}

template <unicode::CategorySet kSet>
Answer all_of(Interpreter& in, Value self, const Arguments&) {
  TRY(in.spend(self.size / 16));
  for (std::string_view rest = self.text(); !rest.empty();) {
    utf8::Decoded c = utf8::decode(rest);
    if ((unicode::class_of(c.code_point) & kSet) == 0) return boolean(false);
    rest.remove_prefix(c.bytes);
  }
  return boolean(self.size > 0);
}

template <const char* kTest>
Answer tested(Interpreter& in, Value self, const Arguments& arguments) {
  return boolean(TRY(find_test(kTest)(in, self, arguments)));
}

// ---- list ----------------------------------------------------------------------------------

Answer append(Interpreter& in, Value self, const Arguments& arguments) {
  TRY(self.list->append(in.arena(), arguments.get(0, "object")));
  return none();
}

Answer extend(Interpreter& in, Value self, const Arguments& arguments) {
  std::span<Value> more = TRY(in.iterate(arguments.offset, arguments.get(0, "iterable")));
  TRY(in.spend(more.size()));
  for (usize i = 0, count = more.size(); i < count; i++)
    TRY(self.list->append(in.arena(), more[i]));
  return none();
}

Answer pop(Interpreter& in, Value self, const Arguments& arguments) {
  i64 size = self.list->size;
  i64 at = number_or(arguments.get(0, "index"), -1);
  if (at < 0) at += size;
  if (at < 0 || at >= size) return in.fail(arguments.offset, "pop() from outside the list");
  Value taken = self.list->items[at];
  std::copy(self.list->items + at + 1, self.list->items + size, self.list->items + at);
  self.list->size--;
  return taken;
}

Answer index(Interpreter& in, Value self, const Arguments& arguments) {
  for (u32 i = 0; i < self.list->size; i++) {
    if (TRY(in.equal(self.list->items[i], arguments.get(0, "value")))) return integer(i);
  }
  return in.fail(arguments.offset, "index() of what is not in the list");
}

Answer count_items(Interpreter& in, Value self, const Arguments& arguments) {
  i64 count = 0;
  for (const Value& item : self.list->view())
    count += TRY(in.equal(item, arguments.get(0, "value"))) ? 1 : 0;
  return integer(count);
}

// ---- dict ----------------------------------------------------------------------------------

enum class Part : u8 { kKeys, kValues, kItems };

template <Part kPart>
Answer parts(Interpreter& in, Value self, const Arguments&) {
  List* list = TRY(in.new_list());
  TRY(in.spend(self.dict->size));
  for (const Entry& entry : self.dict->view()) {
    Value part = kPart == Part::kKeys ? entry.key : entry.value;
    if (kPart == Part::kItems) {
      List* pair = TRY(in.new_list());
      TRY(pair->append(in.arena(), entry.key));
      TRY(pair->append(in.arena(), entry.value));
      part = list_value(pair, Kind::kTuple);
    }
    TRY(list->append(in.arena(), part));
  }
  return list_value(list);
}

Answer get(Interpreter& in, Value self, const Arguments& arguments) {
  Value found = none();
  Value key = arguments.get(0, "key");
  for (const Entry& entry : self.dict->view()) {
    if (TRY(in.equal(entry.key, key))) return entry.value;
  }
  return arguments.get(1, "default", found);
}

Answer update(Interpreter& in, Value self, const Arguments& arguments) {
  Value other = arguments.get(0, "other");
  if (other.is(Kind::kDict)) {
    for (u32 i = 0, count = other.dict->size; i < count; i++) {
      Entry entry = other.dict->entries[i];
      TRY(in.spend(1 + self.dict->size / 8));
      if (entry.key.is(Kind::kString))
        TRY(self.dict->set(in.arena(), entry.key.text(), entry.value));
    }
  }
  for (const NamedValue& named : arguments.named)
    TRY(self.dict->set(in.arena(), named.name, named.value));
  return none();
}

Answer copy(Interpreter& in, Value self, const Arguments&) {
  Dict* dict = TRY(in.new_dict());
  TRY(in.spend(self.dict->size));
  for (const Entry& entry : self.dict->view())
    TRY(dict->append(in.arena(), entry.key, entry.value));
  return dict_value(dict);
}

// ---- loop ----------------------------------------------------------------------------------

Answer cycle(Interpreter& in, Value self, const Arguments& arguments) {
  if (arguments.positional.empty()) return in.fail(arguments.offset, "cycle() needs values");
  return arguments.positional[self.loop->index % arguments.positional.size()];
}

Answer changed(Interpreter& in, Value self, const Arguments& arguments) {
  List* now = TRY(in.new_list());
  for (const Value& value : arguments.positional) TRY(now->append(in.arena(), value));
  bool same = TRY(in.equal(self.loop->changed, list_value(now)));
  self.loop->changed = list_value(now);
  return boolean(!same);
}

struct Row {
  Kind kind;
  std::string_view name;
  Answer (*call)(Interpreter& in, Value self, const Arguments& arguments);
};
constexpr char kIsUpper[] = "upper", kIsLower[] = "lower";
constexpr Row kRows[] = {
    {Kind::kString, "capitalize", cased<kCapitalize>},
    {Kind::kString, "center", padded<Side::kMiddle>},
    {Kind::kString, "count", count_text},
    {Kind::kString, "endswith", begins_or_ends<false>},
    {Kind::kString, "find", find<true>},
    {Kind::kString, "format", format_braces},
    {Kind::kString, "isalnum", all_of<unicode::kLetter | unicode::kNumber>},
    {Kind::kString, "isalpha", all_of<unicode::kLetter>},
    {Kind::kString, "isdigit", all_of<unicode::bit(unicode::Category::kNd)>},
    {Kind::kString, "islower", tested<kIsLower>},
    {Kind::kString, "isnumeric", all_of<unicode::kNumber>},
    {Kind::kString, "isspace", all_of<unicode::kWhiteSpace>},
    {Kind::kString, "isupper", tested<kIsUpper>},
    {Kind::kString, "join", join},
    {Kind::kString, "ljust", padded<Side::kLeft>},
    {Kind::kString, "lower", cased<kLower>},
    {Kind::kString, "lstrip", stripped<true, false>},
    {Kind::kString, "partition", partition<true>},
    {Kind::kString, "removeprefix", removed<true>},
    {Kind::kString, "removesuffix", removed<false>},
    {Kind::kString, "replace", replace},
    {Kind::kString, "rfind", find<false>},
    {Kind::kString, "rjust", padded<Side::kRight>},
    {Kind::kString, "rpartition", partition<false>},
    {Kind::kString, "rsplit", split_right},
    {Kind::kString, "rstrip", stripped<false, true>},
    {Kind::kString, "split", split},
    {Kind::kString, "splitlines", split_lines},
    {Kind::kString, "startswith", begins_or_ends<true>},
    {Kind::kString, "strip", stripped<true, true>},
    {Kind::kString, "title", cased<kTitle>},
    {Kind::kString, "upper", cased<kUpper>},
    {Kind::kList, "append", append},
    {Kind::kList, "count", count_items},
    {Kind::kList, "extend", extend},
    {Kind::kList, "index", index},
    {Kind::kList, "pop", pop},
    {Kind::kTuple, "count", count_items},
    {Kind::kTuple, "index", index},
    {Kind::kDict, "copy", copy},
    {Kind::kDict, "get", get},
    {Kind::kDict, "items", parts<Part::kItems>},
    {Kind::kDict, "keys", parts<Part::kKeys>},
    {Kind::kDict, "update", update},
    {Kind::kDict, "values", parts<Part::kValues>},
    {Kind::kLoop, "changed", changed},
    {Kind::kLoop, "cycle", cycle},
};

const Row* find_row(Kind kind, std::string_view name) {
  for (const Row& row : kRows) {
    if (row.kind == kind && row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace

bool has_method(const Value& object, std::string_view name) {
  return find_row(object.kind, name) != nullptr;
}

Result<Value> call_method(Interpreter& in, const Method& method, const Arguments& arguments) {
  const Row* row = find_row(method.self.kind, method.name);
  if (row == nullptr) return in.fail(arguments.offset, "no such method");
  TRY(in.spend(1));
  return row->call(in, method.self, arguments);
}

}  // namespace ai::jinja
