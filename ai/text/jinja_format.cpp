// SPDX-License-Identifier: GPL-2.0-or-later
// Fills the holes of texts: the filter "format" ("%s") and the method format() ("{}"). Widths,
// precisions and attributes are refused.
#include <charconv>

#include "ai/text/jinja_interpreter.h"

namespace ai::jinja {
namespace {

// Returns the argument for a hole that is a number, a name, or "", which means the next one.
Result<Value> argument_for(Interpreter& in, const Arguments& arguments, std::string_view hole,
                           usize& next) {
  usize position = 0;
  auto [end, status] = std::from_chars(hole.data(), hole.data() + hole.size(), position);
  bool number = status == std::errc() && end == hole.data() + hole.size();
  if (hole.empty()) position = next++;
  if (hole.empty() || number) {
    if (position < arguments.positional.size()) return arguments.positional[position];
    return in.fail(arguments.offset, "format() has too few arguments");
  }
  for (const NamedValue& named : arguments.named) {
    if (named.name == hole) return named.value;
  }
  return in.fail(arguments.offset, "format() has no argument for \"{}\"",
                 hole.substr(0, std::min<usize>(hole.size(), 40)));
}

Result<void> append_value(Interpreter& in, const Value& value, String& out) {
  std::string_view text = TRY(in.text_of(value));
  TRY(in.spend(1 + text.size() / 64));
  return out.append(text);
}

}  // namespace

// "%s" and "%d" take the next argument, "%(name)s" takes one by name, "%%" is a per cent sign.
Result<Value> format_percent(Interpreter& in, Value format, const Arguments& arguments) {
  std::string_view text = TRY(in.text_of(format));
  TRY(in.spend(text.size() / 16));
  String out;
  usize next = 0;
  bool by_name = !arguments.named.empty();
  for (usize at; (at = text.find('%')) != std::string_view::npos;) {
    TRY(out.append(text.substr(0, at)));
    text.remove_prefix(at + 1);
    std::string_view name;
    bool named = text.starts_with('(') && text.find(')') != std::string_view::npos;
    if (named) {
      name = text.substr(1, text.find(')') - 1);
      text.remove_prefix(name.size() + 2);
    }
    char kind = text.empty() ? '\0' : text[0];
    if (kind == '%' && !named) {
      TRY(out.push_back('%'));
      text.remove_prefix(1);
      continue;
    }
    if ((kind != 's' && kind != 'd') || named != by_name)
      return in.fail(arguments.offset, "format knows only %s, %d and %%, by place or by name");
    Value value = TRY(argument_for(in, arguments, name, next));
    if (kind == 'd') {
      if (!value.is_number())
        return in.fail(arguments.offset, "%d needs an int, not {}", kind_name(value.kind));
      value = integer(value.number());
    }
    TRY(append_value(in, value, out));
    text.remove_prefix(1);
  }
  if (!by_name && next != arguments.positional.size())
    return in.fail(arguments.offset, "format has more arguments than places for them");
  TRY(out.append(text));
  return in.keep(out.view());
}

// "{}" takes the next argument, "{0}" and "{name}" a certain one, "{{" and "}}" are brackets.
Result<Value> format_braces(Interpreter& in, Value format, const Arguments& arguments) {
  std::string_view text = format.text();
  TRY(in.spend(text.size() / 16));
  String out;
  usize next = 0;
  for (usize at; (at = text.find_first_of("{}")) != std::string_view::npos;) {
    TRY(out.append(text.substr(0, at)));
    char bracket = text[at];
    text.remove_prefix(at + 1);
    if (text.starts_with(bracket)) {
      TRY(out.push_back(bracket));
      text.remove_prefix(1);
      continue;
    }
    usize end = text.find('}');
    std::string_view hole = text.substr(0, end);
    if (bracket == '}' || end == std::string_view::npos ||
        hole.find_first_of("{:!.[") != std::string_view::npos)
      return in.fail(arguments.offset, "format() knows only {{}}, {{0}} and {{name}}");
    Value value = TRY(argument_for(in, arguments, hole, next));
    TRY(append_value(in, value, out));
    text.remove_prefix(end + 1);
  }
  TRY(out.append(text));
  return in.keep(out.view());
}

}  // namespace ai::jinja
