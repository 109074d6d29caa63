// SPDX-License-Identifier: GPL-2.0-or-later
// Evaluates a template's expressions.
#include "ai/text/jinja_interpreter.h"

namespace ai::jinja {

Result<Value> Interpreter::evaluate(const Expression& e) {
  TRY(spend(1));
  TRY(deeper(e.offset));
  depth_++;
  Result<Value> value = evaluate_node(e);
  depth_--;
  return value;
}

Result<Value> Interpreter::evaluate_node(const Expression& e) {
  switch (e.kind) {
    case Expression::Kind::kConstant:
      return e.constant;
    case Expression::Kind::kName:
      return evaluate_name(e);
    case Expression::Kind::kList:
    case Expression::Kind::kTuple:
      return evaluate_items(e);
    case Expression::Kind::kDict:
      return evaluate_dict(e);
    case Expression::Kind::kArithmetic:
      return evaluate_arithmetic(e);
    case Expression::Kind::kCompare:
      return evaluate_compare(e);
    case Expression::Kind::kAnd:
    case Expression::Kind::kOr:
      return evaluate_logic(e);
    case Expression::Kind::kNot:
      return boolean(!TRY(holds(*e.left)));
    case Expression::Kind::kNegate:
      return evaluate_negate(e);
    case Expression::Kind::kConditional:
      return evaluate_conditional(e);
    case Expression::Kind::kAttribute:
    case Expression::Kind::kItem:
      return evaluate_subscript(e);
    case Expression::Kind::kSlice:
      return evaluate_slice(e);
    case Expression::Kind::kCall:
      return evaluate_call(e);
    case Expression::Kind::kFilter:
      return evaluate_filter(e);
    case Expression::Kind::kTest:
      return evaluate_test(e);
    case Expression::Kind::kCaptured:
      return captured_;
  }
  return none();
}

Result<bool> Interpreter::holds(const Expression& e) {
  Value value = TRY(evaluate(e));
  return truth(value);
}

Result<Value> Interpreter::evaluate_name(const Expression& e) {
  u64 walked = 0;
  for (const Scope* s = scope_; s != nullptr; s = s->parent) {
    walked += 1 + s->names.size / 8;
    if (const Value* value = s->names.find(e.name)) return *value;
  }
  TRY(spend(walked / 8));
  if (has_global(*this, e.name)) return text_value(Kind::kGlobal, e.name);
  return undefined(e.name);
}

Result<Value> Interpreter::evaluate_items(const Expression& e) {
  List* list = TRY(new_list());
  for (const Expression* item : e.items) {
    Value value = TRY(evaluate(*item));
    TRY(list->append(arena_, value));
  }
  return list_value(list, e.kind == Expression::Kind::kList ? Kind::kList : Kind::kTuple);
}

Result<Value> Interpreter::evaluate_dict(const Expression& e) {
  Dict* dict = TRY(new_dict());
  for (usize i = 0; i + 1 < e.items.size(); i += 2) {
    Value key = TRY(evaluate(*e.items[i]));
    Value value = TRY(evaluate(*e.items[i + 1]));
    if (key.is(Kind::kString)) {
      TRY(dict->set(arena_, key.text(), value));
    } else {
      TRY(dict->append(arena_, key, value));
    }
  }
  return dict_value(dict);
}

Result<Value> Interpreter::evaluate_arithmetic(const Expression& e) {
  Value value = TRY(evaluate(*e.left));
  for (const Link& link : e.links) {
    Value operand = TRY(evaluate(*link.operand));
    value = TRY(arithmetic(link.offset, link.op, value, operand));
  }
  return value;
}

Result<Value> Interpreter::evaluate_compare(const Expression& e) {
  Value left = TRY(evaluate(*e.left));
  for (const Link& link : e.links) {
    Value right = TRY(evaluate(*link.operand));
    if (!TRY(compare(link.offset, link.op, left, right))) return boolean(false);
    left = right;
  }
  return boolean(true);
}

// As in Python, "and" and "or" return the operand that decided.
Result<Value> Interpreter::evaluate_logic(const Expression& e) {
  Value value;
  for (const Expression* item : e.items) {
    value = TRY(evaluate(*item));
    if (truth(value) == (e.kind == Expression::Kind::kOr)) break;
  }
  return value;
}

Result<Value> Interpreter::evaluate_negate(const Expression& e) {
  Value value = TRY(evaluate(*e.left));
  if (value.is(Kind::kFloat)) {
    return value.text().starts_with('-')
               ? text_value(Kind::kFloat, value.text().substr(1))
               : text_value(Kind::kFloat, TRY(concatenate("-", value.text())).text());
  }
  return arithmetic(e.offset, Operator::kSubtract, integer(0), value);
}

Result<Value> Interpreter::evaluate_conditional(const Expression& e) {
  if (TRY(holds(*e.condition))) return evaluate(*e.left);
  return e.right != nullptr ? evaluate(*e.right) : Result<Value>(undefined("the else of an if"));
}

Result<Value> Interpreter::evaluate_subscript(const Expression& e) {
  Value object = TRY(evaluate(*e.left));
  if (e.kind == Expression::Kind::kAttribute) return attribute(e.offset, object, e.name);
  Value key = TRY(evaluate(*e.right));
  return item(e.offset, object, key);
}

namespace {

// Python's slice bounds for `size` items.
struct Slice {
  i64 first, last, step;  // `last` is one past the end in the direction of `step`
};

i64 bound(const Value& value, i64 missing, i64 low, i64 high, i64 size) {
  if (!value.is_number()) return missing;
  i64 at = value.number();
  if (at < 0) at = at < -size ? -1 : at + size;
  return std::clamp(at, low, high);
}

Slice slice_of(const Value& first, const Value& last, i64 step, i64 size) {
  if (step > 0) return {bound(first, 0, 0, size, size), bound(last, size, 0, size, size), step};
  return {bound(first, size - 1, -1, size - 1, size), bound(last, -1, -1, size - 1, size), step};
}

}  // namespace

Result<Value> Interpreter::evaluate_slice(const Expression& e) {
  Value object = TRY(evaluate(*e.left));
  Value bounds[3] = {none(), none(), none()};
  for (usize i = 0; i < 3; i++) {
    if (e.items[i] == nullptr) continue;
    bounds[i] = TRY(evaluate(*e.items[i]));
    if (!bounds[i].is_number() && !bounds[i].is(Kind::kNone))
      return reporter_.fail(e.offset, "slices need integers, not {}", kind_name(bounds[i].kind));
  }
  i64 step = bounds[2].is_number() ? bounds[2].number() : 1;
  if (step == 0) return reporter_.fail(e.offset, "a slice's step cannot be 0");
  if (object.is(Kind::kUndefined))
    return reporter_.fail(e.offset, "\"{}\" is undefined", object.text());
  if (!object.is_sequence() && !object.is(Kind::kString))
    return reporter_.fail(e.offset, "{} has no slices", kind_name(object.kind));
  i64 size = static_cast<i64>(TRY(length(e.offset, object)));
  Slice slice = slice_of(bounds[0], bounds[1], step, size);
  if (object.is(Kind::kString) && step == 1) {
    usize first = byte_offset(object.text(), static_cast<u64>(slice.first));
    usize last = byte_offset(object.text(), static_cast<u64>(slice.last));
    TRY(spend(object.size / 64));
    return string(object.text().substr(first, last > first ? last - first : 0));
  }
  std::span<Value> items = TRY(iterate(e.offset, object));
  List* part = TRY(new_list());
  for (i64 i = slice.first; step > 0 ? i < slice.last : i > slice.last;) {
    TRY(spend(1));
    TRY(part->append(arena_, items[static_cast<usize>(i)]));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  if (!object.is(Kind::kString)) return list_value(part, object.kind);
  String joined;
  for (const Value& piece : part->view()) TRY(joined.append(piece.text()));
  return keep(joined.view());
}

Result<Arguments> Interpreter::evaluate_arguments(u32 offset, std::span<const Argument> written) {
  Arguments arguments;
  arguments.offset = offset;
  usize positional = 0;
  while (positional < written.size() && written[positional].name.empty()) positional++;
  Value* values = TRY(arena_.array<Value>(positional));
  NamedValue* named = TRY(arena_.array<NamedValue>(written.size() - positional));
  for (usize i = 0; i < written.size(); i++) {
    Value value = TRY(evaluate(*written[i].value));
    if (i < positional) {
      values[i] = value;
    } else {
      named[i - positional] = {written[i].name, value};
    }
  }
  arguments.positional = {values, positional};
  arguments.named = {named, written.size() - positional};
  return arguments;
}

Result<Value> Interpreter::evaluate_call(const Expression& e) {
  Value callee = TRY(evaluate(*e.left));
  Arguments arguments = TRY(evaluate_arguments(e.offset, e.arguments));
  return call(callee, arguments);
}

Result<Value> Interpreter::call(const Value& callee, const Arguments& arguments) {
  switch (callee.kind) {
    case Kind::kMacro:
      return call_macro(*callee.macro, arguments);
    case Kind::kGlobal:
      return call_global(*this, callee.text(), arguments);
    case Kind::kMethod:
      return call_method(*this, *callee.method, arguments);
    case Kind::kUndefined:
      return reporter_.fail(arguments.offset, "\"{}\" is undefined", callee.text());
    default:
      return reporter_.fail(arguments.offset, "{} cannot be called", kind_name(callee.kind));
  }
}

Result<Value> Interpreter::evaluate_filter(const Expression& e) {
  Value input = TRY(evaluate(*e.left));
  Arguments arguments = TRY(evaluate_arguments(e.offset, e.arguments));
  return e.filter(*this, input, arguments);
}

Result<Value> Interpreter::evaluate_test(const Expression& e) {
  Value input = TRY(evaluate(*e.left));
  Arguments arguments = TRY(evaluate_arguments(e.offset, e.arguments));
  return boolean(TRY(e.test(*this, input, arguments)) != e.negated);
}

Result<bool> Interpreter::compare(u32 offset, Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::kEqual:
      return equal(a, b);
    case Operator::kNotEqual:
      return !TRY(equal(a, b));
    case Operator::kLess:
      return less(offset, a, b);
    case Operator::kGreater:
      return less(offset, b, a);
    case Operator::kLessEqual:
      return !TRY(less(offset, b, a));
    case Operator::kGreaterEqual:
      return !TRY(less(offset, a, b));
    case Operator::kIn:
      return contains(offset, b, a);
    default:
      return !TRY(contains(offset, b, a));
  }
}

}  // namespace ai::jinja
