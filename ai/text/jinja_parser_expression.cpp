// SPDX-License-Identifier: GPL-2.0-or-later
// Parses the expressions of templates. Operators of one precedence become a chain instead of a deep
// tree, so that evaluating "a + b + …" needs no stack.
#include <charconv>

#include "ai/text/jinja_parser.h"

namespace ai::jinja {
namespace {

using ExpressionKind = Expression::Kind;

struct OperatorRow {
  std::string_view text;
  Operator op;
};

// Operators from loosest to tightest.
constexpr OperatorRow kSums[] = {{"+", Operator::kAdd}, {"-", Operator::kSubtract}};
constexpr OperatorRow kJoins[] = {{"~", Operator::kConcatenate}};
constexpr OperatorRow kProducts[] = {{"*", Operator::kMultiply},
                                     {"/", Operator::kDivide},
                                     {"//", Operator::kFloorDivide},
                                     {"%", Operator::kModulo}};
constexpr OperatorRow kPowers[] = {{"**", Operator::kPower}};
constexpr std::span<const OperatorRow> kLevels[] = {kSums, kJoins, kProducts, kPowers};

constexpr OperatorRow kComparisons[] = {
    {"==", Operator::kEqual}, {"!=", Operator::kNotEqual},     {"<=", Operator::kLessEqual},
    {"<", Operator::kLess},   {">=", Operator::kGreaterEqual}, {">", Operator::kGreater},
};

const OperatorRow* row_of(const Token& token, std::span<const OperatorRow> rows) {
  if (!token.is(Token::Kind::kOperator)) return nullptr;
  for (const OperatorRow& row : rows) {
    if (row.text == token.text) return &row;
  }
  return nullptr;
}

struct Word {
  std::string_view text;
  bool none, truth;
};
const Word* word_of(std::string_view text) {
  static constexpr Word kWords[] = {
      {"true", false, true},   {"True", false, true}, {"false", false, false},
      {"False", false, false}, {"none", true, false}, {"None", true, false},
  };
  for (const Word& word : kWords) {
    if (word.text == text) return &word;
  }
  return nullptr;
}

}  // namespace

Result<Expression*> Parser::make(Expression::Kind kind, u32 offset) {
  Expression* expression = TRY(arena_.make<Expression>());
  expression->kind = kind;
  expression->offset = offset;
  return expression;
}

Result<Expression*> Parser::parse_expression() {
  Nesting nesting(depth_);
  TRY(check_depth());
  Expression* value = TRY(parse_logic(0));
  if (!token().is_name("if")) return value;
  Expression* conditional = TRY(make(ExpressionKind::kConditional, take().offset));
  conditional->left = value;
  conditional->condition = TRY(parse_logic(0));
  if (take_name("else")) conditional->right = TRY(parse_expression());
  return conditional;
}

Result<void> Parser::append_expression(Vector<Expression*>& items) {
  Expression* item = TRY(parse_expression());
  return items.push_back(item);
}

Result<Expression*> Parser::parse_tuple() {
  Expression* first = TRY(parse_expression());
  if (!token().is_operator(",")) return first;
  Expression* tuple = TRY(make(ExpressionKind::kTuple, first->offset));
  Vector<Expression*> items;
  TRY(items.push_back(first));
  while (take_operator(",")) {
    if (token().is(Kind::kBlockEnd) || token().is(Kind::kOutputEnd)) break;
    TRY(append_expression(items));
  }
  tuple->items = TRY(arena_.copy(std::span<Expression* const>(items.data(), items.size())));
  return tuple;
}

// Level 0 is "or", level 1 is "and".
Result<Expression*> Parser::parse_logic(u32 level) {
  std::string_view word = level == 0 ? "or" : "and";
  Expression* first = TRY(level == 0 ? parse_logic(1) : parse_not());
  if (!token().is_name(word)) return first;
  Expression* all =
      TRY(make(level == 0 ? ExpressionKind::kOr : ExpressionKind::kAnd, token().offset));
  Vector<Expression*> items;
  TRY(items.push_back(first));
  while (take_name(word)) {
    Expression* next = TRY(level == 0 ? parse_logic(1) : parse_not());
    TRY(items.push_back(next));
  }
  all->items = TRY(arena_.copy(std::span<Expression* const>(items.data(), items.size())));
  return all;
}

Result<Expression*> Parser::parse_not() {
  bool negated = false;
  u32 offset = token().offset;
  while (take_name("not")) negated = !negated;
  bool any = offset != token().offset;
  Expression* value = TRY(parse_compare());
  if (!any) return value;
  Expression* result = TRY(make(ExpressionKind::kNot, offset));
  result->left = value;
  if (negated) return result;
  // "not not x" is the truth value of x.
  Expression* twice = TRY(make(ExpressionKind::kNot, offset));
  twice->left = result;
  return twice;
}

bool Parser::compare_operator(Operator& op, u32& tokens) const {
  tokens = 1;
  if (const OperatorRow* row = row_of(token(), kComparisons)) {
    op = row->op;
    return true;
  }
  if (token().is_name("in")) {
    op = Operator::kIn;
    return true;
  }
  op = Operator::kNotIn;
  tokens = 2;
  return token().is_name("not") && peek(1).is_name("in");
}

Result<Expression*> Parser::parse_compare() {
  Expression* left = TRY(parse_arithmetic(0));
  Operator op{};
  u32 tokens = 0;
  if (!compare_operator(op, tokens)) return left;
  Expression* compare = TRY(make(ExpressionKind::kCompare, token().offset));
  compare->left = left;
  Vector<Link> links;
  while (compare_operator(op, tokens)) {
    Link link{op, token().offset, nullptr};
    for (; tokens > 0; tokens--) take();
    link.operand = TRY(parse_arithmetic(0));
    TRY(links.push_back(link));
  }
  compare->links = TRY(arena_.copy(std::span<const Link>(links.view())));
  return compare;
}

// Parses operators of `level` and tighter ones.
Result<Expression*> Parser::parse_arithmetic(u32 level) {
  Expression* left = TRY(parse_unary(true));
  for (;;) {
    u32 found = level;
    while (found < std::size(kLevels) && row_of(token(), kLevels[found]) == nullptr) found++;
    if (found == std::size(kLevels)) return left;
    Expression* chain = TRY(make(ExpressionKind::kArithmetic, left->offset));
    chain->left = left;
    Vector<Link> links;
    while (const OperatorRow* row = row_of(token(), kLevels[found])) {
      Link link{row->op, take().offset, nullptr};
      link.operand = TRY(parse_arithmetic(found + 1));
      TRY(links.push_back(link));
    }
    chain->links = TRY(arena_.copy(std::span<const Link>(links.view())));
    left = chain;
  }
}

Result<Expression*> Parser::parse_unary(bool with_filter) {
  u32 offset = token().offset;
  Expression* value = nullptr;
  if (token().is_operator("-") || token().is_operator("+")) {
    Nesting nesting(depth_);
    TRY(check_depth());
    bool minus = take().text == "-";
    value = TRY(parse_unary(false));
    if (minus) {
      Expression* negated = TRY(make(ExpressionKind::kNegate, offset));
      negated->left = value;
      value = negated;
    }
  } else {
    value = TRY(parse_primary());
  }
  value = TRY(parse_postfix(value));
  return with_filter ? parse_filters(value) : value;
}

Result<Expression*> Parser::parse_primary() {
  const Token& t = token();
  if (t.is(Kind::kString)) return parse_string();
  if (t.is(Kind::kInteger) || t.is(Kind::kFloat)) return parse_number();
  if (t.is_operator("(")) return parse_parenthesis();
  if (t.is_operator("[")) return parse_list("]", ExpressionKind::kList);
  if (t.is_operator("{")) return parse_dict();
  if (!t.is(Kind::kName)) return unexpected_token("a value");
  take();
  if (const Word* word = word_of(t.text)) {
    Expression* constant = TRY(make(ExpressionKind::kConstant, t.offset));
    constant->constant = word->none ? none() : boolean(word->truth);
    return constant;
  }
  Expression* name = TRY(make(ExpressionKind::kName, t.offset));
  name->name = t.text;
  return name;
}

// Adjacent strings are joined, as in Python.
Result<Expression*> Parser::parse_string() {
  Expression* constant = TRY(make(ExpressionKind::kConstant, token().offset));
  std::string_view text = take().text;
  if (token().is(Kind::kString)) {
    String joined;
    TRY(joined.append(text));
    while (token().is(Kind::kString)) TRY(joined.append(take().text));
    text = TRY(arena_.copy(joined.view()));
  }
  constant->constant = string(text);
  return constant;
}

Result<Expression*> Parser::parse_number() {
  const Token& t = take();
  Expression* constant = TRY(make(ExpressionKind::kConstant, t.offset));
  String digits;
  for (char c : t.text) {
    if (c != '_') TRY(digits.push_back(c));
  }
  if (t.is(Kind::kFloat)) {
    constant->constant = text_value(jinja::Kind::kFloat, TRY(arena_.copy(digits.view())));
    return constant;
  }
  i64 value = 0;
  std::string_view text = digits.view();
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size())
    return reporter_.fail(t.offset, "this number is too large");
  constant->constant = integer(value);
  return constant;
}

Result<Expression*> Parser::parse_list(std::string_view close, Expression::Kind kind) {
  Expression* list = TRY(make(kind, take().offset));
  Vector<Expression*> items;
  while (!take_operator(close)) {
    if (!items.empty()) TRY(expect(Kind::kOperator, ","));
    if (take_operator(close)) break;
    TRY(append_expression(items));
  }
  list->items = TRY(arena_.copy(std::span<Expression* const>(items.data(), items.size())));
  return list;
}

Result<Expression*> Parser::parse_dict() {
  Expression* dict = TRY(make(ExpressionKind::kDict, take().offset));
  Vector<Expression*> items;
  while (!take_operator("}")) {
    if (!items.empty()) TRY(expect(Kind::kOperator, ","));
    if (take_operator("}")) break;
    TRY(append_expression(items));
    TRY(expect(Kind::kOperator, ":"));
    TRY(append_expression(items));
  }
  dict->items = TRY(arena_.copy(std::span<Expression* const>(items.data(), items.size())));
  return dict;
}

// "(a)" is a. "()", "(a,)" and "(a, b)" are tuples.
Result<Expression*> Parser::parse_parenthesis() {
  u32 offset = token().offset;
  if (peek(1).is_operator(")")) return parse_list(")", ExpressionKind::kTuple);
  take();
  Expression* first = TRY(parse_expression());
  if (take_operator(")")) return first;
  Expression* tuple = TRY(make(ExpressionKind::kTuple, offset));
  Vector<Expression*> items;
  TRY(items.push_back(first));
  while (!take_operator(")")) {
    TRY(expect(Kind::kOperator, ","));
    if (take_operator(")")) break;
    TRY(append_expression(items));
  }
  tuple->items = TRY(arena_.copy(std::span<Expression* const>(items.data(), items.size())));
  return tuple;
}

Result<Expression*> Parser::parse_postfix(Expression* left) {
  // Each step makes the tree one level deeper, as brackets do.
  u32 steps = 0;
  for (;; steps++) {
    if (steps > kMaxDepth) return reporter_.fail(token().offset, "nested too deeply");
    if (token().is_operator(".")) {
      left = TRY(parse_attribute(left));
    } else if (token().is_operator("[")) {
      left = TRY(parse_subscript(left));
    } else if (token().is_operator("(")) {
      Expression* call = TRY(make(ExpressionKind::kCall, token().offset));
      call->left = left;
      call->arguments = TRY(parse_arguments());
      left = call;
    } else {
      return left;
    }
  }
}

Result<Expression*> Parser::parse_attribute(Expression* left) {
  u32 offset = take().offset;
  if (token().is(Kind::kInteger)) {
    Expression* item = TRY(make(ExpressionKind::kItem, offset));
    item->left = left;
    item->right = TRY(parse_number());
    return item;
  }
  Expression* attribute = TRY(make(ExpressionKind::kAttribute, offset));
  attribute->left = left;
  attribute->name = TRY(expect_name("an attribute"));
  return attribute;
}

Result<Expression*> Parser::parse_subscript(Expression* left) {
  Expression* item = TRY(make(ExpressionKind::kItem, take().offset));
  item->left = left;
  Expression* bounds[3] = {};
  usize colons = 0;
  while (!token().is_operator("]")) {
    if (take_operator(":")) {
      if (++colons > 2) return unexpected_token("]");
      continue;
    }
    if (bounds[colons] != nullptr) return unexpected_token("]");
    bounds[colons] = TRY(parse_expression());
  }
  if (colons == 0 && bounds[0] == nullptr) return unexpected_token("a subscript");
  take();
  if (colons == 0) {
    item->right = bounds[0];
    return item;
  }
  item->kind = ExpressionKind::kSlice;
  item->items = TRY(arena_.copy(std::span<Expression* const>(bounds)));
  return item;
}

Result<Expression*> Parser::parse_filters(Expression* left) {
  u32 steps = 0;
  // A filter block names its first filter without a bar.
  bool bare = left->kind == ExpressionKind::kCaptured && token().is(Kind::kName);
  for (;; steps++) {
    if (steps > kMaxDepth) return reporter_.fail(token().offset, "nested too deeply");
    if (token().is_name("is")) {
      left = TRY(parse_test(left));
    } else if (token().is_operator("(") && !bare) {
      left = TRY(parse_postfix(left));
    } else if (bare || take_operator("|")) {
      bare = false;
      Expression* filter = TRY(make(ExpressionKind::kFilter, token().offset));
      filter->left = left;
      filter->name = TRY(expect_name("a filter"));
      filter->filter = find_filter(filter->name);
      if (filter->filter == nullptr)
        return reporter_.fail(filter->offset, "unknown filter \"{}\"", filter->name);
      if (token().is_operator("(")) filter->arguments = TRY(parse_arguments());
      left = filter;
    } else {
      return left;
    }
  }
}

Result<Expression*> Parser::parse_test(Expression* left) {
  Expression* test = TRY(make(ExpressionKind::kTest, take().offset));
  test->left = left;
  test->negated = take_name("not");
  u32 offset = token().offset;
  // "none", "true", "false" and "in" are names of tests, too.
  test->name = TRY(expect_name("a test"));
  test->test = find_test(test->name);
  if (test->test == nullptr) return reporter_.fail(offset, "unknown test \"{}\"", test->name);
  if (token().is_operator("(")) {
    test->arguments = TRY(parse_arguments());
    return test;
  }
  constexpr std::string_view kNoArgument[] = {"else", "or", "and", "is", "if", "not", "in"};
  const Token& t = token();
  bool word = t.is(Kind::kName) && std::find(std::begin(kNoArgument), std::end(kNoArgument),
                                             t.text) == std::end(kNoArgument);
  bool bracket = t.is_operator("[") || t.is_operator("{");
  if (word || bracket || t.is(Kind::kString) || t.is(Kind::kInteger) || t.is(Kind::kFloat)) {
    Expression* operand = TRY(parse_primary());
    Argument argument{{}, TRY(parse_postfix(operand))};
    test->arguments = TRY(arena_.copy(std::span<const Argument>(&argument, 1)));
  }
  return test;
}

Result<std::span<Argument>> Parser::parse_arguments() {
  Vector<Argument> arguments;
  take();
  while (!take_operator(")")) {
    if (!arguments.empty()) TRY(expect(Kind::kOperator, ","));
    if (take_operator(")")) break;
    Argument argument{};
    if (token().is(Kind::kName) && peek(1).is_operator("=")) {
      argument.name = take().text;
      take();
    } else if (!arguments.empty() && !arguments.back().name.empty()) {
      return reporter_.fail(token().offset, "an argument by position after one by name");
    }
    argument.value = TRY(parse_expression());
    TRY(arguments.push_back(argument));
  }
  return arena_.copy(std::span<const Argument>(arguments.view()));
}

}  // namespace ai::jinja
