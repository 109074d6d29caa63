// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the operators on values: truth, comparison, arithmetic, attributes, items, iteration.
#include <limits>

#include "ai/text/jinja_interpreter.h"
#include "kernel/base/utf8.h"

namespace ai::jinja {

const char* kind_name(Kind kind) {
  constexpr const char* kNames[] = {
      "undefined", "None", "bool",      "int",   "float", "str",      "list",
      "tuple",     "dict", "namespace", "macro", "loop",  "function", "method",
  };
  static_assert(std::size(kNames) == static_cast<usize>(Kind::kMethod) + 1);
  return kNames[static_cast<usize>(kind)];
}

bool truth(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return value.truth;
    case Kind::kInteger:
      return value.integer != 0;
    case Kind::kFloat:
      return value.text().substr(0, value.text().find_first_of("eE")).find_first_of("123456789") !=
             std::string_view::npos;
    case Kind::kString:
      return value.size > 0;
    case Kind::kList:
    case Kind::kTuple:
      return value.list->size > 0;
    case Kind::kDict:
      return value.dict->size > 0;
    default:
      return true;
  }
}

namespace {

// Returns the value of a decimal literal, accurate enough to order the numbers that templates
// compare.
double decimal(std::string_view text) {
  bool negative = text.starts_with('-');
  double value = 0;
  i64 exponent = 0;
  bool fraction = false;
  usize at = negative ? 1 : 0;
  for (; at < text.size() && (text[at] | 0x20) != 'e'; at++) {
    if (text[at] == '.') {
      fraction = true;
    } else if (text[at] >= '0' && text[at] <= '9') {
      value = value * 10 + (text[at] - '0');
      exponent -= fraction ? 1 : 0;
    }
  }
  i64 written = 0;
  bool down = at + 1 < text.size() && text[at + 1] == '-';
  for (at++; at < text.size(); at++) {
    if (text[at] >= '0' && text[at] <= '9' && written < 1000)
      written = written * 10 + (text[at] - '0');
  }
  exponent += down ? -written : written;
  for (; exponent > 0 && value < 1e300; exponent--) value *= 10;
  for (; exponent < 0 && value > 1e-300; exponent++) value /= 10;
  return negative ? -value : value;
}

bool numeric(const Value& v) {
  return v.is_number() || v.is(Kind::kFloat);
}
double real(const Value& v) {
  return v.is(Kind::kFloat) ? decimal(v.text()) : static_cast<double>(v.number());
}

}  // namespace

Result<bool> Interpreter::equal(const Value& a, const Value& b) {
  TRY(spend(1));
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (numeric(a) && numeric(b)) return real(a) == real(b);
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      TRY(spend(std::min(a.size, b.size) / 64));
      return a.text() == b.text();
    case Kind::kGlobal:
      return a.text() == b.text();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
      break;
    default:
      return a.characters == b.characters;  // the same object
  }
  TRY(deeper(0));
  depth_++;
  auto inside = [&]() -> Result<bool> {
    if (a.is(Kind::kDict)) {
      if (a.dict->size != b.dict->size) return false;
      for (const Entry& entry : a.dict->view()) {
        TRY(spend(1 + b.dict->size / 8));
        const Value* other = entry.key.is(Kind::kString) ? b.dict->find(entry.key.text()) : nullptr;
        if (other == nullptr || !TRY(equal(entry.value, *other))) return false;
      }
      return true;
    }
    if (a.list->size != b.list->size) return false;
    for (u32 i = 0; i < a.list->size; i++) {
      if (!TRY(equal(a.list->items[i], b.list->items[i]))) return false;
    }
    return true;
  };
  Result<bool> result = inside();
  depth_--;
  return result;
}

Result<bool> Interpreter::less(u32 offset, const Value& a, const Value& b) {
  TRY(spend(1));
  if (a.is_number() && b.is_number()) return a.number() < b.number();
  if (numeric(a) && numeric(b)) return real(a) < real(b);
  if (a.is(Kind::kString) && b.is(Kind::kString)) {
    TRY(spend(std::min(a.size, b.size) / 64));
    return a.text() < b.text();  // UTF-8 has the same order as code points
  }
  if (a.is_sequence() && a.kind == b.kind) {
    for (u32 i = 0; i < std::min(a.list->size, b.list->size); i++) {
      if (TRY(equal(a.list->items[i], b.list->items[i]))) continue;
      TRY(deeper(offset));
      depth_++;
      Result<bool> result = less(offset, a.list->items[i], b.list->items[i]);
      depth_--;
      return result;
    }
    return a.list->size < b.list->size;
  }
  return reporter_.fail(offset, "{} and {} have no order", kind_name(a.kind), kind_name(b.kind));
}

Result<bool> Interpreter::contains(u32 offset, const Value& all, const Value& part) {
  if (all.is(Kind::kString)) {
    if (!part.is(Kind::kString))
      return reporter_.fail(offset, "only a str can be in a str, not {}", kind_name(part.kind));
    TRY(spend(all.size / 16));
    return all.text().find(part.text()) != std::string_view::npos;
  }
  std::span<Value> items = TRY(iterate(offset, all));
  for (const Value& item : items) {
    if (TRY(equal(item, part))) return true;
  }
  return false;
}

Result<Value> Interpreter::keep(std::string_view text) {
  TRY(spend(text.size() / 64));
  std::string_view copied = TRY(arena_.copy(text));
  return string(copied);
}

Result<List*> Interpreter::new_list() {
  return arena_.make<List>();
}
Result<Dict*> Interpreter::new_dict() {
  return arena_.make<Dict>();
}

Result<std::span<Value>> Interpreter::iterate(u32 offset, const Value& value) {
  if (value.is_sequence()) return value.list->view();
  if (value.is(Kind::kUndefined)) return std::span<Value>();
  List* list = TRY(new_list());
  if (value.is(Kind::kDict)) {
    TRY(spend(value.dict->size));
    for (const Entry& entry : value.dict->view()) TRY(list->append(arena_, entry.key));
    return list->view();
  }
  if (!value.is(Kind::kString))
    return reporter_.fail(offset, "{} cannot be iterated over", kind_name(value.kind));
  TRY(spend(value.size));
  for (std::string_view rest = value.text(); !rest.empty();) {
    u32 bytes = utf8::decode(rest).bytes;
    TRY(list->append(arena_, string(rest.substr(0, bytes))));
    rest.remove_prefix(bytes);
  }
  return list->view();
}

Result<u64> Interpreter::length(u32 offset, const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      return u64{0};
    case Kind::kString:
      TRY(spend(value.size / 64));
      return count_characters(value.text());
    case Kind::kList:
    case Kind::kTuple:
      return u64{value.list->size};
    case Kind::kDict:
      return u64{value.dict->size};
    default:
      return reporter_.fail(offset, "{} has no length", kind_name(value.kind));
  }
}

Result<std::string_view> Interpreter::text_of(const Value& value) {
  if (value.is(Kind::kString)) return value.text();
  String text;
  TRY(append_text(*this, value, text));
  Value kept = TRY(keep(text.view()));
  return kept.text();
}

Result<Value> Interpreter::attribute(u32 offset, const Value& object, std::string_view name) {
  if (object.is(Kind::kUndefined))
    return reporter_.fail(offset, "\"{}\" is undefined", object.text());
  if (object.is(Kind::kLoop)) return loop_attribute(*object.loop, name);
  if (object.is(Kind::kMacro) && name == "name") return string(object.macro->definition->name);
  if (has_method(object, name)) {
    Method* method = TRY(arena_.make<Method>());
    method->self = object;
    method->name = name;
    Value bound = none();
    bound.kind = Kind::kMethod;
    bound.method = method;
    return bound;
  }
  if (object.is(Kind::kDict) || object.is(Kind::kNamespace)) {
    TRY(spend(object.dict->size / 8));
    if (const Value* value = object.dict->find(name)) return *value;
  }
  return undefined(name);
}

Result<Value> Interpreter::loop_attribute(const Loop& loop, std::string_view name) {
  i64 index = static_cast<i64>(loop.index);
  i64 count = static_cast<i64>(loop.items.size());
  struct Row {
    std::string_view name;
    Value value;
  };
  const Row rows[] = {
      {"index", integer(index + 1)},
      {"index0", integer(index)},
      {"revindex", integer(count - index)},
      {"revindex0", integer(count - index - 1)},
      {"first", boolean(index == 0)},
      {"last", boolean(index + 1 == count)},
      {"length", integer(count)},
      {"depth", integer(1)},  // only recursive loops would have more
      {"depth0", integer(0)},
  };
  for (const Row& row : rows) {
    if (row.name == name) return row.value;
  }
  if (name == "previtem" && index > 0) return loop.items[loop.index - 1];
  if (name == "nextitem" && index + 1 < count) return loop.items[loop.index + 1];
  if (name != "cycle" && name != "changed") return undefined(name);
  Method* method = TRY(arena_.make<Method>());
  method->self = none();
  method->self.kind = Kind::kLoop;
  method->self.loop = const_cast<Loop*>(&loop);
  method->name = name;
  Value bound = none();
  bound.kind = Kind::kMethod;
  bound.method = method;
  return bound;
}

Result<Value> Interpreter::item(u32 offset, const Value& object, const Value& key) {
  if (object.is(Kind::kUndefined))
    return reporter_.fail(offset, "\"{}\" is undefined", object.text());
  if (object.is(Kind::kDict) && !key.is(Kind::kString)) {
    for (const Entry& entry : object.dict->view()) {
      if (TRY(equal(entry.key, key))) return entry.value;
    }
    return undefined("an item");
  }
  if (key.is(Kind::kString)) {
    if (object.is(Kind::kDict)) {
      TRY(spend(object.dict->size / 8));
      const Value* value = object.dict->find(key.text());
      if (value != nullptr) return *value;
    }
    return attribute(offset, object, key.text());
  }
  bool indexed = object.is_sequence() || object.is(Kind::kString);
  if (!indexed || !key.is_number()) return undefined("an item");
  i64 size = static_cast<i64>(TRY(length(offset, object)));
  i64 at = key.number() < 0 ? key.number() + size : key.number();
  if (at < 0 || at >= size) return undefined("an item");
  if (object.is_sequence()) return object.list->items[at];
  std::string_view rest = object.text().substr(byte_offset(object.text(), static_cast<u64>(at)));
  return string(rest.substr(0, utf8::decode(rest).bytes));
}

Result<Value> Interpreter::concatenate(std::string_view a, std::string_view b) {
  TRY(spend((a.size() + b.size()) / 64));
  char* joined = TRY(arena_.text(a.size() + b.size()));
  std::copy(a.begin(), a.end(), joined);
  std::copy(b.begin(), b.end(), joined + a.size());
  return string({joined, a.size() + b.size()});
}

Result<Value> Interpreter::repeat(std::string_view text, i64 times) {
  if (times <= 0 || text.empty()) return string({});
  usize bytes = 0;
  if (__builtin_mul_overflow(text.size(), static_cast<usize>(times), &bytes))
    return ::fail(Errc::kOutOfMemory, "template needs too much memory");
  TRY(spend(bytes / 64));
  char* repeated = TRY(arena_.text(bytes));
  for (usize at = 0; at < bytes; at += text.size())
    std::copy(text.begin(), text.end(), repeated + at);
  return string({repeated, bytes});
}

Result<Value> Interpreter::repeat_list(const Value& list, i64 times) {
  List* repeated = TRY(new_list());
  for (i64 i = 0; i < times && list.list->size > 0; i++) {
    TRY(spend(list.list->size));
    for (const Value& item : list.list->view()) TRY(repeated->append(arena_, item));
  }
  return list_value(repeated, list.kind);
}

Result<Value> Interpreter::add(u32 offset, const Value& a, const Value& b) {
  if (a.is(Kind::kString) && b.is(Kind::kString)) return concatenate(a.text(), b.text());
  if (!a.is_sequence() || a.kind != b.kind)
    return reporter_.fail(offset, "{} and {} cannot be added", kind_name(a.kind),
                          kind_name(b.kind));
  List* both = TRY(new_list());
  TRY(spend(u64{a.list->size} + b.list->size));
  for (const Value& v : a.list->view()) TRY(both->append(arena_, v));
  for (const Value& v : b.list->view()) TRY(both->append(arena_, v));
  return list_value(both, a.kind);
}

namespace {

struct Quotient {
  i64 floor, rest;
};
// Divides as Python does: it rounds down, and the remainder has the divisor's sign. b is not 0, and
// a / b does not overflow.
Quotient divide(i64 a, i64 b) {
  Quotient q{a / b, a % b};
  if (q.rest != 0 && (q.rest < 0) != (b < 0)) {
    q.floor--;
    q.rest += b;
  }
  return q;
}

// Returns true if the power does not fit. The exponent is not negative.
bool power_overflows(i64 base, i64 exponent, i64& out) {
  out = 1;
  if (base == 0 || base == 1 || base == -1) {
    out = exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base;
    return false;
  }
  for (; exponent > 0; exponent--) {
    if (__builtin_mul_overflow(out, base, &out)) return true;
  }
  return false;
}

}  // namespace

Result<Value> Interpreter::arithmetic(u32 offset, Operator op, const Value& a, const Value& b) {
  if (op == Operator::kConcatenate) {
    std::string_view left = TRY(text_of(a));
    std::string_view right = TRY(text_of(b));
    return concatenate(left, right);
  }
  for (const Value* v : {&a, &b}) {
    if (v->is(Kind::kUndefined)) return reporter_.fail(offset, "\"{}\" is undefined", v->text());
    if (v->is(Kind::kFloat))
      return reporter_.fail(offset, "templates cannot compute with fractions");
  }
  if (op == Operator::kAdd && !(a.is_number() && b.is_number())) return add(offset, a, b);
  if (op == Operator::kMultiply && a.is_number() && !b.is_number())
    return arithmetic(offset, op, b, a);
  if (op == Operator::kMultiply && a.is(Kind::kString) && b.is_number())
    return repeat(a.text(), b.number());
  if (op == Operator::kMultiply && a.is_sequence() && b.is_number())
    return repeat_list(a, b.number());
  if (!a.is_number() || !b.is_number())
    return reporter_.fail(offset, "{} and {} are not numbers", kind_name(a.kind),
                          kind_name(b.kind));
  i64 x = a.number(), y = b.number(), result = 0;
  bool divides = op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && y == 0) return reporter_.fail(offset, "division by zero");
  bool overflow = divides && y == -1 && x == std::numeric_limits<i64>::min();
  if (!overflow) {
    switch (op) {
      case Operator::kAdd:
        overflow = __builtin_add_overflow(x, y, &result);
        break;
      case Operator::kSubtract:
        overflow = __builtin_sub_overflow(x, y, &result);
        break;
      case Operator::kMultiply:
        overflow = __builtin_mul_overflow(x, y, &result);
        break;
      case Operator::kModulo:
        result = divide(x, y).rest;
        break;
      case Operator::kPower:
        if (y < 0) return reporter_.fail(offset, "negative powers are not supported");
        overflow = power_overflows(x, y, result);
        break;
      default:
        result = divide(x, y).floor;
    }
  }
  if (overflow) return reporter_.fail(offset, "the result is too large");
  if (op != Operator::kDivide) return integer(result);
  if (divide(x, y).rest != 0)
    return reporter_.fail(offset, "templates cannot compute with fractions");
  char digits[32];
  Value text = TRY(keep(base::format_into(digits, "{}.0", result)));
  return text_value(Kind::kFloat, text.text());
}

}  // namespace ai::jinja
