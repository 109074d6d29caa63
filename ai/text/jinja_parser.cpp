// SPDX-License-Identifier: GPL-2.0-or-later
// Parses the statements of templates.
#include "ai/text/jinja_parser.h"

namespace ai::jinja {

Result<Body> Parser::parse_template() {
  return parse_body({}, 0, "template");
}

std::unexpected<Error> Parser::unexpected_token(std::string_view wanted) {
  const Token& t = token();
  std::string_view found = t.is(Kind::kEnd) ? "the end of the template" : t.text;
  return reporter_.fail(t.offset, "expected {}, found {}", wanted,
                        found.substr(0, std::min<usize>(found.size(), 40)));
}

Result<void> Parser::check_depth() {
  if (depth_ > kMaxDepth) return reporter_.fail(token().offset, "nested too deeply");
  return {};
}

Result<void> Parser::expect(Kind kind, std::string_view text) {
  if (!token().is(kind) || (!text.empty() && token().text != text)) return unexpected_token(text);
  take();
  return {};
}

Result<std::string_view> Parser::expect_name(std::string_view what) {
  if (!token().is(Kind::kName)) return unexpected_token(what);
  return take().text;
}

Result<Statement*> Parser::make_statement(Statement::Kind kind, u32 offset) {
  Statement* statement = TRY(arena_.make<Statement>());
  statement->kind = kind;
  statement->offset = offset;
  return statement;
}

Result<Body> Parser::parse_body(Words ends, u32 opened_at, std::string_view block) {
  Nesting nesting(depth_);
  TRY(check_depth());
  Vector<Statement*> statements;
  for (;;) {
    const Token& t = token();
    Statement* statement = nullptr;
    if (t.is(Kind::kEnd)) {
      if (!ends.empty()) return reporter_.fail(opened_at, "this {} block is never closed", block);
      break;
    }
    take();
    if (t.is(Kind::kText)) {
      statement = TRY(make_statement(Statement::Kind::kText, t.offset));
      statement->name = t.text;
    } else if (t.is(Kind::kOutputBegin)) {
      statement = TRY(make_statement(Statement::Kind::kOutput, t.offset));
      statement->value = TRY(parse_tuple());
      TRY(expect(Kind::kOutputEnd, "}}"));
    } else {
      bool ended = token().is(Kind::kName) &&
                   std::find(ends.begin(), ends.end(), token().text) != ends.end();
      if (ended) break;
      statement = TRY(parse_block());
    }
    TRY(statements.push_back(statement));
  }
  return arena_.copy(std::span<Statement* const>(statements.data(), statements.size()));
}

// Parses the body of a block and its end tag.
Result<Body> Parser::parse_whole_block(std::string_view end, u32 opened_at,
                                       std::string_view block) {
  Body body = TRY(parse_body({&end, 1}, opened_at, block));
  take();
  TRY(expect(Kind::kBlockEnd, "%}"));
  return body;
}

Result<Statement*> Parser::parse_block() {
  u32 offset = token().offset;
  std::string_view name = TRY(expect_name("the name of a block"));
  if (name == "if") return parse_if(offset);
  if (name == "for") return parse_for(offset);
  if (name == "set") return parse_set(offset);
  if (name == "macro") return parse_macro(offset);
  if (name == "call") return parse_call(offset);
  if (name == "filter") return parse_filter_block(offset);
  if (name == "generation") return parse_generation(offset);
  if (name == "break") return parse_loop_exit(offset, Statement::Kind::kBreak);
  if (name == "continue") return parse_loop_exit(offset, Statement::Kind::kContinue);
  if (name.starts_with("end") || name == "else" || name == "elif")
    return reporter_.fail(offset, "\"{}\" without the block it belongs to", name);
  return reporter_.fail(offset, "blocks of kind \"{}\" are not supported",
                        name.substr(0, std::min<usize>(name.size(), 40)));
}

Result<Statement*> Parser::parse_if(u32 offset) {
  constexpr std::string_view kEnds[] = {"elif", "else", "endif"};
  Statement* statement = TRY(make_statement(Statement::Kind::kIf, offset));
  Vector<Branch> branches;
  for (bool last = false;;) {
    Branch branch{};
    if (!last) branch.condition = TRY(parse_tuple());
    TRY(expect(Kind::kBlockEnd, "%}"));
    Words ends = last ? Words(kEnds).subspan(2) : Words(kEnds);
    branch.body = TRY(parse_body(ends, offset, "if"));
    TRY(branches.push_back(branch));
    std::string_view word = take().text;
    if (word == "endif") break;
    last = word == "else";
  }
  TRY(expect(Kind::kBlockEnd, "%}"));
  statement->branches = TRY(arena_.copy(std::span<const Branch>(branches.view())));
  return statement;
}

Result<std::span<std::string_view>> Parser::parse_targets() {
  Vector<std::string_view> names;
  bool parenthesis = take_operator("(");
  do {
    if (!token().is(Kind::kName)) break;
    TRY(names.push_back(take().text));
  } while (take_operator(","));
  if (names.empty()) return unexpected_token("a name");
  if (parenthesis) TRY(expect(Kind::kOperator, ")"));
  return arena_.copy(std::span<const std::string_view>(names.view()));
}

Result<Statement*> Parser::parse_for(u32 offset) {
  constexpr std::string_view kEnds[] = {"else", "endfor"};
  Statement* statement = TRY(make_statement(Statement::Kind::kFor, offset));
  statement->targets = TRY(parse_targets());
  TRY(expect(Kind::kName, "in"));
  // "a if b else c" is not possible here: the "if" begins the loop's own condition.
  statement->value = TRY(parse_logic(0));
  if (take_name("if")) statement->condition = TRY(parse_expression());
  if (token().is_name("recursive"))
    return reporter_.fail(token().offset, "recursive loops are not supported");
  TRY(expect(Kind::kBlockEnd, "%}"));
  loops_++;
  statement->body = TRY(parse_body(kEnds, offset, "for"));
  loops_--;
  if (take().text == "else") {
    TRY(expect(Kind::kBlockEnd, "%}"));
    statement->otherwise = TRY(parse_whole_block("endfor", offset, "for"));
    return statement;
  }
  TRY(expect(Kind::kBlockEnd, "%}"));
  return statement;
}

Result<Statement*> Parser::parse_set(u32 offset) {
  Statement* statement = TRY(make_statement(Statement::Kind::kSet, offset));
  if (peek(1).is_operator(".")) {
    statement->kind = Statement::Kind::kSetAttribute;
    statement->name = TRY(expect_name("a name"));
    take();
  }
  statement->targets = TRY(parse_targets());
  if (take_operator("=")) {
    statement->value = TRY(parse_tuple());
    TRY(expect(Kind::kBlockEnd, "%}"));
    return statement;
  }
  if (statement->kind == Statement::Kind::kSetAttribute || statement->targets.size() != 1)
    return unexpected_token("=");
  statement->kind = Statement::Kind::kSetBlock;
  Expression* captured = TRY(make(Expression::Kind::kCaptured, offset));
  statement->value = TRY(parse_filters(captured));
  TRY(expect(Kind::kBlockEnd, "%}"));
  statement->body = TRY(parse_whole_block("endset", offset, "set"));
  return statement;
}

Result<std::span<Parameter>> Parser::parse_parameters() {
  Vector<Parameter> parameters;
  TRY(expect(Kind::kOperator, "("));
  while (!take_operator(")")) {
    if (!parameters.empty()) TRY(expect(Kind::kOperator, ","));
    if (take_operator(")")) break;
    Parameter parameter{TRY(expect_name("a parameter")), nullptr};
    if (take_operator("=")) parameter.fallback = TRY(parse_expression());
    TRY(parameters.push_back(parameter));
  }
  return arena_.copy(std::span<const Parameter>(parameters.view()));
}

Result<Statement*> Parser::parse_macro(u32 offset) {
  Statement* statement = TRY(make_statement(Statement::Kind::kMacro, offset));
  statement->name = TRY(expect_name("the macro's name"));
  statement->parameters = TRY(parse_parameters());
  TRY(expect(Kind::kBlockEnd, "%}"));
  u32 loops = std::exchange(loops_, 0);
  statement->body = TRY(parse_whole_block("endmacro", offset, "macro"));
  loops_ = loops;
  return statement;
}

Result<Statement*> Parser::parse_call(u32 offset) {
  Statement* statement = TRY(make_statement(Statement::Kind::kCallBlock, offset));
  if (token().is_operator("(")) statement->parameters = TRY(parse_parameters());
  statement->value = TRY(parse_expression());
  if (statement->value->kind != Expression::Kind::kCall)
    return reporter_.fail(offset, "a call block needs a call");
  TRY(expect(Kind::kBlockEnd, "%}"));
  u32 loops = std::exchange(loops_, 0);
  statement->body = TRY(parse_whole_block("endcall", offset, "call"));
  loops_ = loops;
  return statement;
}

Result<Statement*> Parser::parse_filter_block(u32 offset) {
  Statement* statement = TRY(make_statement(Statement::Kind::kFilterBlock, offset));
  Expression* captured = TRY(make(Expression::Kind::kCaptured, offset));
  // The first filter has no bar in front of it; parse_filters() knows that.
  statement->value = TRY(parse_filters(captured));
  TRY(expect(Kind::kBlockEnd, "%}"));
  statement->body = TRY(parse_whole_block("endfilter", offset, "filter"));
  return statement;
}

// Parses {% generation %}…{% endgeneration %}, which Hugging Face's trainers look for. It writes
// its body, which has a scope of its own.
Result<Statement*> Parser::parse_generation(u32 offset) {
  Statement* statement = TRY(make_statement(Statement::Kind::kFilterBlock, offset));
  statement->value = TRY(make(Expression::Kind::kCaptured, offset));
  TRY(expect(Kind::kBlockEnd, "%}"));
  statement->body = TRY(parse_whole_block("endgeneration", offset, "generation"));
  return statement;
}

Result<Statement*> Parser::parse_loop_exit(u32 offset, Statement::Kind kind) {
  if (loops_ == 0) return reporter_.fail(offset, "there is no loop to leave here");
  TRY(expect(Kind::kBlockEnd, "%}"));
  return make_statement(kind, offset);
}

}  // namespace ai::jinja
