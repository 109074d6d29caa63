// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the tests of "is …": one row and one small function each, after Jinja 3.1's list of
// built-in tests.
#include "ai/text/jinja_interpreter.h"

namespace ai::jinja {
namespace {

using Answer = Result<bool>;

Answer defined(Interpreter&, Value v, const Arguments&) {
  return !v.is(Kind::kUndefined);
}
Answer not_defined(Interpreter&, Value v, const Arguments&) {
  return v.is(Kind::kUndefined);
}
template <Kind kKind>
Answer kind_is(Interpreter&, Value v, const Arguments&) {
  return v.is(kKind);
}
Answer number(Interpreter&, Value v, const Arguments&) {
  return v.is_number() || v.is(Kind::kFloat);
}
Answer mapping(Interpreter&, Value v, const Arguments&) {
  return v.is(Kind::kDict);
}
Answer iterable(Interpreter&, Value v, const Arguments&) {
  return v.is_sequence() || v.is(Kind::kDict) || v.is(Kind::kString) || v.is(Kind::kUndefined);
}
// Accepts everything that has a length and items, including text and dicts.
Answer sequence(Interpreter& in, Value v, const Arguments& arguments) {
  return iterable(in, v, arguments);
}
// Jinja's undefined value can be called, if only to fail.
Answer callable(Interpreter&, Value v, const Arguments&) {
  return v.is(Kind::kUndefined) || v.is(Kind::kMacro) || v.is(Kind::kGlobal) || v.is(Kind::kMethod);
}
template <bool kTruth>
Answer exactly(Interpreter&, Value v, const Arguments&) {
  return v.is(Kind::kBool) && v.truth == kTruth;
}
Answer equal(Interpreter& in, Value v, const Arguments& arguments) {
  return in.equal(v, arguments.get(0, "other"));
}
Answer not_equal(Interpreter& in, Value v, const Arguments& arguments) {
  return !TRY(in.equal(v, arguments.get(0, "other")));
}
Answer less(Interpreter& in, Value v, const Arguments& arguments) {
  return in.less(arguments.offset, v, arguments.get(0, "other"));
}
Answer greater(Interpreter& in, Value v, const Arguments& arguments) {
  return in.less(arguments.offset, arguments.get(0, "other"), v);
}
Answer at_most(Interpreter& in, Value v, const Arguments& arguments) {
  return !TRY(greater(in, v, arguments));
}
Answer at_least(Interpreter& in, Value v, const Arguments& arguments) {
  return !TRY(less(in, v, arguments));
}
Answer within(Interpreter& in, Value v, const Arguments& arguments) {
  return in.contains(arguments.offset, arguments.get(0, "seq"), v);
}
// Returns true for the same object. Values without an identity here are the same if kind and value
// are equal.
Answer same(Interpreter& in, Value v, const Arguments& arguments) {
  Value other = arguments.get(0, "other");
  bool shared = v.is_sequence() || v.is(Kind::kDict);
  if (v.kind != other.kind) return false;
  return shared ? Answer(v.characters == other.characters) : in.equal(v, other);
}
Answer divisible(Interpreter& in, Value v, const Arguments& arguments) {
  Value rest = TRY(in.arithmetic(arguments.offset, Operator::kModulo, v, arguments.get(0, "num")));
  return rest.number() == 0;
}
template <i64 kRest>
Answer parity(Interpreter& in, Value v, const Arguments& arguments) {
  Value rest = TRY(in.arithmetic(arguments.offset, Operator::kModulo, v, integer(2)));
  return rest.number() == kRest;
}
// Returns true for text that has letters, all of them in that case.
template <bool kUpper>
Answer has_case(Interpreter& in, Value v, const Arguments&) {
  std::string_view text = TRY(in.text_of(v));
  Value same = TRY(change_case(in, text, kUpper ? "upper" : "lower"));
  Value other = TRY(change_case(in, text, kUpper ? "lower" : "upper"));
  return same.text() == text && other.text() != text;
}

Answer known_filter(Interpreter&, Value v, const Arguments&) {
  return v.is(Kind::kString) && find_filter(v.text()) != nullptr;
}
Answer known_test(Interpreter&, Value v, const Arguments&) {
  return v.is(Kind::kString) && find_test(v.text()) != nullptr;
}

struct Row {
  std::string_view name;
  Test test;
};
constexpr Row kRows[] = {
    {"!=", not_equal},
    {"<", less},
    {"<=", at_most},
    {"==", equal},
    {">", greater},
    {">=", at_least},
    {"boolean", kind_is<Kind::kBool>},
    {"callable", callable},
    {"defined", defined},
    {"divisibleby", divisible},
    {"eq", equal},
    {"equalto", equal},
    {"even", parity<0>},
    {"false", exactly<false>},
    {"filter", known_filter},
    {"float", kind_is<Kind::kFloat>},
    {"ge", at_least},
    {"greaterthan", greater},
    {"gt", greater},
    {"in", within},
    {"integer", kind_is<Kind::kInteger>},
    {"iterable", iterable},
    {"le", at_most},
    {"lessthan", less},
    {"lower", has_case<false>},
    {"lt", less},
    {"mapping", mapping},
    {"ne", not_equal},
    {"none", kind_is<Kind::kNone>},
    {"number", number},
    {"odd", parity<1>},
    {"sameas", same},
    {"sequence", sequence},
    {"string", kind_is<Kind::kString>},
    {"test", known_test},
    {"true", exactly<true>},
    {"undefined", not_defined},
    {"upper", has_case<true>},
};

}  // namespace

Test find_test(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.test;
  }
  return nullptr;
}

}  // namespace ai::jinja
