// SPDX-License-Identifier: GPL-2.0-or-later
// Syntax trees of templates. Positions are byte offsets into the source.
#pragma once

#include "ai/text/jinja_value.h"

namespace ai::jinja {

class Interpreter;
struct Arguments;

// A filter. `input` is the value before the bar.
using Filter = Result<Value> (*)(Interpreter& in, Value input, const Arguments& arguments);
// A test ("is"). Returns its answer.
using Test = Result<bool> (*)(Interpreter& in, Value input, const Arguments& arguments);

enum class Operator : u8 {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kConcatenate,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expression;

struct Link {  // one more operand of a chain
  Operator op;
  u32 offset;
  Expression* operand;
};

struct Argument {
  std::string_view name;  // "" = a positional argument
  Expression* value;
};

struct Expression {
  enum class Kind : u8 {
    kConstant,
    kName,
    kList,         // items
    kTuple,        // items
    kDict,         // items: key, value, key, value …
    kArithmetic,   // left, links: operators of one precedence, left to right
    kCompare,      // left, links: every pair must hold
    kAnd,          // items
    kOr,           // items
    kNot,          // left
    kNegate,       // left
    kConditional,  // left if condition else right (null: undefined)
    kAttribute,    // left . name
    kItem,         // left [ right ]
    kSlice,        // left [ items[0] : items[1] : items[2] ], null for those left out
    kCall,         // left ( arguments )
    kFilter,       // left | filter ( arguments )
    kTest,         // left is test ( arguments ), negated for "is not"
    kCaptured,     // the text of the block that a filter or set statement encloses
  };
  Kind kind = Kind::kConstant;
  bool negated = false;
  u32 offset = 0;
  Value constant;
  std::string_view name;
  Expression* left = nullptr;
  Expression* right = nullptr;
  Expression* condition = nullptr;
  std::span<Expression*> items;
  std::span<Link> links;
  std::span<Argument> arguments;
  Filter filter = nullptr;
  Test test = nullptr;
};

struct Statement;
using Body = std::span<Statement*>;

struct Branch {
  Expression* condition;  // null: the else branch
  Body body;
};

struct Parameter {
  std::string_view name;
  Expression* fallback;  // null: undefined if not given
};

struct Statement {
  enum class Kind : u8 {
    kText,          // name = the text
    kOutput,        // value
    kIf,            // branches
    kFor,           // targets in value if condition: body, otherwise
    kSet,           // targets = value
    kSetAttribute,  // name . targets[0] = value
    kSetBlock,      // targets[0] = body through value (whose innermost part is kCaptured)
    kMacro,         // name, parameters, body
    kCallBlock,     // value is the call; parameters, body make its caller()
    kFilterBlock,   // value with kCaptured inside, body
    kBreak,
    kContinue,
  };
  Kind kind = Kind::kText;
  u32 offset = 0;
  std::string_view name;
  Expression* value = nullptr;
  Expression* condition = nullptr;
  std::span<std::string_view> targets;
  std::span<Branch> branches;
  std::span<Parameter> parameters;
  Body body, otherwise;
};

// Return the row of a built-in, or null if the name is unknown.
Filter find_filter(std::string_view name);
Test find_test(std::string_view name);

}  // namespace ai::jinja
