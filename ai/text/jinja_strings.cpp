// SPDX-License-Identifier: GPL-2.0-or-later
// Text as Python treats it (positions count code points), and values as text: str, repr, JSON.
#include <algorithm>
#include <bit>
#include <limits>

#include "ai/text/jinja_interpreter.h"
#include "ai/tokenizer/unicode.h"
#include "kernel/base/json.h"
#include "kernel/base/utf8.h"

namespace ai::jinja {
namespace {

constexpr u32 kMaxNesting = 32;  // of a value that is written as text

// Returns true if the letter has a case.
bool is_cased(u32 code) {
  constexpr unicode::CategorySet kCased = unicode::bit(unicode::Category::kLl) |
                                          unicode::bit(unicode::Category::kLt) |
                                          unicode::bit(unicode::Category::kLu);
  return (unicode::class_of(code) & kCased) != 0;
}

// Returns true if repr() shows the character and not an escape.
bool is_printable(u32 code) {
  constexpr unicode::CategorySet kHidden =
      unicode::kOther | unicode::kSeparator | unicode::bit(unicode::Category::kCn);
  return code == ' ' || (unicode::class_of(code) & kHidden) == 0;
}

// The letters of Latin and Armenian whose capitals are several (Unicode's SpecialCasing.txt).
struct SpecialCase {
  u32 code;
  std::string_view upper, title;
};
constexpr SpecialCase kSpecialCases[] = {
    {0xdf, "SS", "Ss"},
    {0x149, "\u02bcN", "\u02bcN"},
    {0x1f0, "J\u030c", "J\u030c"},
    {0x587, "\u0535\u0552", "\u0535\u0582"},
    {0xfb00, "FF", "Ff"},
    {0xfb01, "FI", "Fi"},
    {0xfb02, "FL", "Fl"},
    {0xfb03, "FFI", "Ffi"},
    {0xfb04, "FFL", "Ffl"},
    {0xfb05, "ST", "St"},
    {0xfb06, "ST", "St"},
};

// The digraphs of Croatian have a third form, with one capital.
u32 to_title(u32 code) {
  if (code >= 0x1c4 && code <= 0x1cc) return 0x1c5 + (code - 0x1c4) / 3 * 3;
  if (code >= 0x1f1 && code <= 0x1f3) return 0x1f2;
  return unicode::to_upper(code);
}

enum class Case : u8 { kLower, kUpper, kTitle };

Result<void> append_cased(const utf8::Decoded& c, std::string_view bytes, Case wanted,
                          String& out) {
  if (!c.valid) return out.append(bytes);
  for (const SpecialCase& special : kSpecialCases) {
    if (special.code == c.code_point && wanted != Case::kLower)
      return out.append(wanted == Case::kUpper ? special.upper : special.title);
  }
  u32 code = wanted == Case::kLower   ? unicode::to_lower(c.code_point)
             : wanted == Case::kUpper ? unicode::to_upper(c.code_point)
                                      : to_title(c.code_point);
  char room[4];
  return out.append({room, utf8::encode(code, room)});
}

// Returns true if the filter "title" begins a word after this character.
bool parts_words(u32 code) {
  return is_space(code) || (code < 0x80 && std::string_view("-({[<").find(
                                               static_cast<char>(code)) != std::string_view::npos);
}

}  // namespace

bool is_space(u32 code) {
  // Python also counts the four ASCII separators as white space.
  return (unicode::class_of(code) & unicode::kWhiteSpace) != 0 || (code >= 0x1c && code <= 0x1f);
}

// As for str.splitlines(), a line ends at any of ten characters, or at two of them.
FirstLine first_line(std::string_view text) {
  for (usize at = 0; at < text.size();) {
    utf8::Decoded c = utf8::decode(text.substr(at));
    u32 code = c.code_point;
    if (text.substr(at).starts_with("\r\n")) return {at, at + 2};
    bool ends = (code >= '\n' && code <= '\r') || (code >= 0x1c && code <= 0x1e) || code == 0x85 ||
                code == 0x2028 || code == 0x2029;
    if (ends && c.valid) return {at, at + c.bytes};
    at += c.bytes;
  }
  return {text.size(), text.size()};
}

usize previous_character(std::string_view text, usize end) {
  usize at = end - 1;
  while (at > 0 && end - at < 4 && (static_cast<u8>(text[at]) & 0xc0) == 0x80) at--;
  return at + utf8::decode(text.substr(at, end - at)).bytes == end ? at : end - 1;
}

u64 count_characters(std::string_view text) {
  u64 count = 0;
  for (; !text.empty(); count++) text.remove_prefix(utf8::decode(text).bytes);
  return count;
}

usize byte_offset(std::string_view text, u64 character) {
  usize at = 0;
  for (; character > 0 && at < text.size(); character--) at += utf8::decode(text.substr(at)).bytes;
  return at;
}

std::string_view strip(std::string_view text, std::string_view characters, bool left, bool right) {
  auto goes = [characters](std::string_view c) {
    if (characters.empty()) return is_space(utf8::decode(c).code_point);
    for (std::string_view rest = characters; !rest.empty();) {
      u32 bytes = utf8::decode(rest).bytes;
      if (rest.substr(0, bytes) == c) return true;
      rest.remove_prefix(bytes);
    }
    return false;
  };
  while (left && !text.empty()) {
    u32 bytes = utf8::decode(text).bytes;
    if (!goes(text.substr(0, bytes))) break;
    text.remove_prefix(bytes);
  }
  while (right && !text.empty()) {
    usize at = previous_character(text, text.size());
    if (!goes(text.substr(at))) break;
    text = text.substr(0, at);
  }
  return text;
}

// Changes to "upper", "lower", "title" (str.title), "words" (the filter "title") or "capitalize".
Result<Value> change_case(Interpreter& in, std::string_view text, std::string_view how) {
  TRY(in.spend(text.size() / 8));
  String out;
  bool inside_word = false;
  for (usize at = 0; at < text.size();) {
    utf8::Decoded c = utf8::decode(text.substr(at));
    Case wanted = Case::kLower;
    if (how == "upper" || (how == "words" && !inside_word))
      wanted = Case::kUpper;
    else if ((how == "title" && !inside_word) || (how == "capitalize" && at == 0))
      wanted = Case::kTitle;
    TRY(append_cased(c, text.substr(at, c.bytes), wanted, out));
    inside_word = how == "words" ? !parts_words(c.code_point) : is_cased(c.code_point);
    at += c.bytes;
  }
  return in.keep(out.view());
}

namespace {

// An empty text is found before every character and at the end.
Result<Value> replace_nothing(Interpreter& in, std::string_view text, std::string_view to,
                              i64 most) {
  String out;
  for (; most != 0; most--) {
    TRY(in.spend(1 + to.size() / 64));
    TRY(out.append(to));
    if (text.empty()) break;
    u32 bytes = utf8::decode(text).bytes;
    TRY(out.append(text.substr(0, bytes)));
    text.remove_prefix(bytes);
  }
  TRY(out.append(text));
  return in.keep(out.view());
}

}  // namespace

Result<Value> replace_text(Interpreter& in, std::string_view text, std::string_view from,
                           std::string_view to, i64 most) {
  if (from.empty()) return replace_nothing(in, text, to, most);
  TRY(in.spend(text.size() / 16));
  String out;
  for (; most != 0; most--) {
    usize at = text.find(from);
    if (at == std::string_view::npos) break;
    TRY(in.spend(1 + to.size() / 64));
    TRY(out.append(text.substr(0, at)));
    TRY(out.append(to));
    text.remove_prefix(at + from.size());
  }
  TRY(out.append(text));
  return in.keep(out.view());
}

namespace {

// Uses single quotes unless the text contains some and no double ones, as Python does.
Result<void> append_quoted(std::string_view text, String& out) {
  bool doubled =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  char quote = doubled ? '"' : '\'';
  TRY(out.push_back(quote));
  for (usize at = 0; at < text.size();) {
    constexpr std::string_view kSpecial = "\n\r\t\\", kLetters = "nrt\\";
    utf8::Decoded c = utf8::decode(text.substr(at));
    std::string_view bytes = text.substr(at, c.bytes);
    at += c.bytes;
    usize special = kSpecial.find(bytes[0]);
    char escape[12];
    if (special != std::string_view::npos) {
      TRY(out.push_back('\\'));
      TRY(out.push_back(kLetters[special]));
    } else if (bytes[0] == quote) {
      TRY(out.push_back('\\'));
      TRY(out.push_back(quote));
    } else if (!c.valid || is_printable(c.code_point)) {
      TRY(out.append(bytes));
    } else if (c.code_point < 0x100) {
      TRY(out.append(base::format_into(escape, "\\x{:02x}", c.code_point)));
    } else if (c.code_point < 0x10000) {
      TRY(out.append(base::format_into(escape, "\\u{:04x}", c.code_point)));
    } else {
      TRY(out.append(base::format_into(escape, "\\U{:08x}", c.code_point)));
    }
  }
  return out.push_back(quote);
}

Result<void> append_scalar(const Value& value, String& out) {
  char digits[48];
  switch (value.kind) {
    case Kind::kNone:
      return out.append("None");
    case Kind::kBool:
      return out.append(value.truth ? "True" : "False");
    case Kind::kInteger:
      return out.append(base::format_into(digits, "{}", value.integer));
    case Kind::kFloat:
    case Kind::kString:
      return out.append(value.text());
    case Kind::kUndefined:
      return {};
    default:
      return out.append(base::format_into(digits, "<{}>", kind_name(value.kind)));
  }
}

}  // namespace

Result<void> append_text(Interpreter& in, const Value& value, String& out) {
  bool nested = value.is_sequence() || value.is(Kind::kDict);
  return nested ? append_repr(in, value, out) : append_scalar(value, out);
}

Result<void> append_repr(Interpreter& in, const Value& value, String& out, u32 depth) {
  TRY(in.spend(1));
  if (depth > kMaxNesting) return in.fail(0, "a value is nested too deeply to be written");
  if (value.is(Kind::kString)) {
    TRY(in.spend(value.size / 16));
    return append_quoted(value.text(), out);
  }
  if (value.is(Kind::kUndefined)) return out.append("Undefined");
  if (value.is(Kind::kDict)) {
    TRY(out.push_back('{'));
    for (u32 i = 0; i < value.dict->size; i++) {
      if (i > 0) TRY(out.append(", "));
      TRY(append_repr(in, value.dict->entries[i].key, out, depth + 1));
      TRY(out.append(": "));
      TRY(append_repr(in, value.dict->entries[i].value, out, depth + 1));
    }
    return out.push_back('}');
  }
  if (!value.is_sequence()) return append_scalar(value, out);
  bool tuple = value.is(Kind::kTuple);
  TRY(out.push_back(tuple ? '(' : '['));
  for (u32 i = 0; i < value.list->size; i++) {
    if (i > 0) TRY(out.append(", "));
    TRY(append_repr(in, value.list->items[i], out, depth + 1));
  }
  if (tuple && value.list->size == 1) TRY(out.push_back(','));
  return out.push_back(tuple ? ')' : ']');
}

namespace {

Result<void> append_json_string(Interpreter& in, std::string_view text, String& out) {
  TRY(in.spend(text.size() / 16));
  base::StringWriter writer(out);
  writer.write("\"");
  // Python does not escape U+007F.
  for (usize at; (at = text.find('\x7f')) != std::string_view::npos; text.remove_prefix(at + 1)) {
    json::write_escaped(writer, text.substr(0, at));
    writer.write("\x7f");
  }
  json::write_escaped(writer, text);
  writer.write("\"");
  return writer.status();
}

Result<void> append_break(const JsonStyle& style, u32 depth, String& out) {
  if (style.indent < 0) return {};
  TRY(out.push_back('\n'));
  for (i64 i = 0; i < style.indent * depth; i++) TRY(out.push_back(' '));
  return {};
}

// Returns the entries sorted by key. Equal keys keep their order.
Result<Vector<const Entry*>> sorted_entries(Interpreter& in, const Dict& dict) {
  // comparing two keys costs little, so n log n comparisons are charged at a quarter
  TRY(in.spend(u64{dict.size} * std::bit_width(dict.size) / 4));
  Vector<const Entry*> entries;
  TRY(entries.reserve(dict.size));
  for (const Entry& entry : dict.view()) TRY(entries.push_back(&entry));
  std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) {
    int order = a->key.text().compare(b->key.text());
    return order != 0 ? order < 0 : a < b;
  });
  return entries;
}

Result<void> append_json_dict(Interpreter& in, u32 offset, const Dict& dict, const JsonStyle& style,
                              String& out, u32 depth) {
  if (dict.size == 0) return out.append("{}");
  TRY(out.push_back('{'));
  Vector<const Entry*> sorted;
  if (style.sort_keys) sorted = TRY(sorted_entries(in, dict));
  for (u32 i = 0; i < dict.size; i++) {
    TRY(in.spend(1));
    const Entry* entry = style.sort_keys ? sorted[i] : &dict.entries[i];
    if (i > 0) TRY(out.append(style.item_separator));
    TRY(append_break(style, depth + 1, out));
    if (entry->key.is(Kind::kString)) {
      TRY(append_json_string(in, entry->key.text(), out));
    } else {
      TRY(out.push_back('"'));
      TRY(append_json(in, offset, entry->key, style, out, depth + 1));
      TRY(out.push_back('"'));
    }
    TRY(out.append(style.key_separator));
    TRY(append_json(in, offset, entry->value, style, out, depth + 1));
  }
  TRY(append_break(style, depth, out));
  return out.push_back('}');
}

}  // namespace

// Appends json.dumps(value, ensure_ascii=False), which is what "tojson" means to Hugging Face.
Result<void> append_json(Interpreter& in, u32 offset, const Value& value, const JsonStyle& style,
                         String& out, u32 depth) {
  TRY(in.spend(1));
  if (depth > kMaxNesting) return in.fail(offset, "a value is nested too deeply to be written");
  switch (value.kind) {
    case Kind::kNone:
      return out.append("null");
    case Kind::kBool:
      return out.append(value.truth ? "true" : "false");
    case Kind::kInteger:
    case Kind::kFloat:
      return append_scalar(value, out);
    case Kind::kString:
      return append_json_string(in, value.text(), out);
    case Kind::kDict:
      return append_json_dict(in, offset, *value.dict, style, out, depth);
    case Kind::kList:
    case Kind::kTuple:
      break;
    default:
      return in.fail(offset, "{} cannot be written as JSON", kind_name(value.kind));
  }
  if (value.list->size == 0) return out.append("[]");
  TRY(out.push_back('['));
  for (u32 i = 0; i < value.list->size; i++) {
    if (i > 0) TRY(out.append(style.item_separator));
    TRY(append_break(style, depth + 1, out));
    TRY(append_json(in, offset, value.list->items[i], style, out, depth + 1));
  }
  TRY(append_break(style, depth, out));
  return out.push_back(']');
}

}  // namespace ai::jinja
