// SPDX-License-Identifier: GPL-2.0-or-later
// Parses tokens into a syntax tree in an arena. Grammar and precedence follow the template designer
// documentation of Jinja 3.1. Nesting is bounded.
//
// The tree lies in the arena, and its texts lie in the arena or in the template's source. Both must
// outlive the tree; the tokens and the parser need not. A parser parses once.
#pragma once

#include "ai/text/jinja_ast.h"
#include "ai/text/jinja_lexer.h"

namespace ai::jinja {

class Parser {
 public:
  Parser(std::span<const Token> tokens, Arena& arena, Reporter& reporter)
      : tokens_(tokens), arena_(arena), reporter_(reporter) {}

  Result<Body> parse_template();

 private:
  using Kind = Token::Kind;
  // Limits brackets, blocks and conditions together. Each takes about 1.8 KiB of stack.
  static constexpr u32 kMaxDepth = 24;

  // Counts one level of nesting while it lives.
  struct Nesting {
    explicit Nesting(u32& depth) : depth(depth) { depth++; }
    ~Nesting() { depth--; }
    u32& depth;
  };

  // ---- statements (jinja_parser.cpp)
  using Words = std::span<const std::string_view>;
  // Parses up to a block tag that begins with one of `ends`, and leaves that tag's name to be read.
  Result<Body> parse_body(Words ends, u32 opened_at, std::string_view block);
  Result<Body> parse_whole_block(std::string_view end, u32 opened_at, std::string_view block);
  Result<Statement*> parse_block();
  Result<Statement*> parse_if(u32 offset);
  Result<Statement*> parse_for(u32 offset);
  Result<Statement*> parse_set(u32 offset);
  Result<Statement*> parse_macro(u32 offset);
  Result<Statement*> parse_call(u32 offset);
  Result<Statement*> parse_filter_block(u32 offset);
  Result<Statement*> parse_generation(u32 offset);
  Result<Statement*> parse_loop_exit(u32 offset, Statement::Kind kind);
  Result<std::span<Parameter>> parse_parameters();
  Result<std::span<std::string_view>> parse_targets();
  Result<std::string_view> expect_name(std::string_view what);
  Result<void> expect(Kind kind, std::string_view text);
  Result<Statement*> make_statement(Statement::Kind kind, u32 offset);

  // ---- expressions (jinja_parser_expression.cpp)
  Result<Expression*> parse_expression();  // including "if … else"
  Result<void> append_expression(Vector<Expression*>& items);
  Result<Expression*> parse_tuple();  // "a, b" without brackets is a tuple
  Result<Expression*> parse_logic(u32 level);
  Result<Expression*> parse_not();
  Result<Expression*> parse_compare();
  Result<Expression*> parse_arithmetic(u32 level);
  Result<Expression*> parse_unary(bool with_filter);
  Result<Expression*> parse_primary();
  Result<Expression*> parse_string();
  Result<Expression*> parse_number();
  Result<Expression*> parse_list(std::string_view close, Expression::Kind kind);
  Result<Expression*> parse_dict();
  Result<Expression*> parse_parenthesis();
  Result<Expression*> parse_postfix(Expression* left);
  Result<Expression*> parse_filters(Expression* left);
  Result<Expression*> parse_attribute(Expression* left);
  Result<Expression*> parse_subscript(Expression* left);
  Result<Expression*> parse_test(Expression* left);
  Result<std::span<Argument>> parse_arguments();
  bool compare_operator(Operator& op, u32& tokens) const;
  Result<Expression*> make(Expression::Kind kind, u32 offset);

  const Token& token() const { return tokens_[at_]; }
  const Token& peek(usize ahead) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& take() {
    const Token& taken = tokens_[at_];
    if (at_ + 1 < tokens_.size()) at_++;
    return taken;
  }
  bool take_operator(std::string_view text) {
    if (!token().is_operator(text)) return false;
    take();
    return true;
  }
  bool take_name(std::string_view text) {
    if (!token().is_name(text)) return false;
    take();
    return true;
  }
  std::unexpected<Error> unexpected_token(std::string_view wanted);
  Result<void> check_depth();

  std::span<const Token> tokens_;
  Arena& arena_;
  Reporter& reporter_;
  usize at_ = 0;
  u32 depth_ = 0;
  u32 loops_ = 0;  // loops that enclose the current statement
};

}  // namespace ai::jinja
