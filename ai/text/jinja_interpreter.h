// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a template's syntax tree. Every step counts against limits of steps, memory, output and
// depth, so no template can exhaust the machine. For threads; it does not yield.
#pragma once

#include "ai/text/jinja_ast.h"
#include "ai/text/jinja_error.h"

namespace ai::jinja {

struct Limits {
  u64 steps = 1'000'000;     // counts nodes evaluated, items visited, and every 64 bytes copied
  usize memory = 64 * kMiB;  // bytes for the values of one render
  usize output = 16 * kMiB;  // bytes of text of one render, captured blocks included
  // Expressions, blocks and macro calls inside one another. Each takes up to 0.9 KiB of stack.
  u32 depth = 40;
  static constexpr i64 kMaxRange = 100'000;  // the limit of Jinja's sandbox
};

struct NamedValue {
  std::string_view name;
  Value value;
};

struct Arguments {
  u32 offset = 0;
  std::span<Value> positional;
  std::span<NamedValue> named;

  // Returns the argument at that position or of that name, or `fallback` if neither was given.
  Value get(usize position, std::string_view name, Value fallback = none()) const {
    if (position < positional.size()) return positional[position];
    for (const NamedValue& v : named) {
      if (v.name == name) return v.value;
    }
    return fallback;
  }
  Arguments without_first() const {
    Arguments rest = *this;
    rest.positional = positional.subspan(positional.empty() ? 0 : 1);
    return rest;
  }
};

// The names that one level of blocks knows. The outermost scope is the template's.
struct Scope {
  Scope* parent = nullptr;
  Dict names;
};

struct Macro {
  const Statement* definition = nullptr;
  Scope* scope = nullptr;  // the scope it was defined in
  const Macro* caller = nullptr;
};

struct Loop {
  std::span<Value> items;
  usize index = 0;
  Value changed;  // the last argument of changed()
};

class Interpreter {
 public:
  // strftime_now() tells `now_unix`; 0 leaves that function undefined.
  Interpreter(Arena& arena, Reporter& reporter, const Limits& limits, String& out, i64 now_unix)
      : arena_(arena), reporter_(reporter), limits_(limits), out_(&out), now_unix_(now_unix) {}

  Result<void> define(std::string_view name, Value value);
  Result<void> run(Body body);

  // ---- for built-ins
  Arena& arena() { return arena_; }
  template <class... Args>
  std::unexpected<Error> fail(u32 offset, std::string_view format, const Args&... args) {
    return reporter_.fail(offset, format, args...);
  }
  std::unexpected<Error> raise(u32 offset, std::string_view message) {
    reporter_.error().raised = true;
    return reporter_.fail(offset, "{}", message);
  }
  i64 now_unix() const { return now_unix_; }
  Result<void> spend(u64 steps);
  Result<Value> keep(std::string_view text);  // a copy in the arena, counted against the limits
  Result<bool> equal(const Value& a, const Value& b);
  Result<bool> less(u32 offset, const Value& a, const Value& b);
  Result<bool> contains(u32 offset, const Value& all, const Value& part);
  Result<List*> new_list();
  Result<Dict*> new_dict();
  // Returns what a loop visits: items, keys or characters. The result must not be changed.
  Result<std::span<Value>> iterate(u32 offset, const Value& value);
  Result<u64> length(u32 offset, const Value& value);
  Result<std::string_view> text_of(const Value& value);  // str()
  Result<Value> attribute(u32 offset, const Value& object, std::string_view name);
  Result<Value> item(u32 offset, const Value& object, const Value& key);
  Result<Value> arithmetic(u32 offset, Operator op, const Value& a, const Value& b);
  Result<Value> call(const Value& callee, const Arguments& arguments);

 private:
  enum class Flow : u8 { kNext, kBreak, kContinue };

  Result<Flow> execute(Body body);
  Result<Flow> execute_one(const Statement& statement);
  Result<Flow> execute_if(const Statement& statement);
  Result<Flow> execute_for(const Statement& statement);
  Result<Flow> execute_iteration(const Statement& statement, Loop& loop);
  Result<List*> wanted_items(const Statement& statement, std::span<Value> items);
  Result<void> execute_set(const Statement& statement);
  Result<void> execute_set_attribute(const Statement& statement);
  Result<void> execute_captured(const Statement& statement);
  Result<void> execute_macro(const Statement& statement);
  Result<void> execute_call_block(const Statement& statement);
  Result<Value> capture(Body body);
  Result<void> assign(u32 offset, std::span<std::string_view> targets, const Value& value);
  Result<void> write(std::string_view text);
  Result<void> write_value(const Value& value);

  Result<Value> evaluate(const Expression& e);
  Result<Value> evaluate_node(const Expression& e);
  Result<Value> evaluate_name(const Expression& e);
  Result<Value> evaluate_items(const Expression& e);
  Result<Value> evaluate_dict(const Expression& e);
  Result<Value> evaluate_arithmetic(const Expression& e);
  Result<Value> evaluate_compare(const Expression& e);
  Result<Value> evaluate_logic(const Expression& e);
  Result<Value> evaluate_negate(const Expression& e);
  Result<Value> evaluate_conditional(const Expression& e);
  Result<Value> evaluate_subscript(const Expression& e);
  Result<Value> evaluate_slice(const Expression& e);
  Result<Value> evaluate_call(const Expression& e);
  Result<Value> evaluate_filter(const Expression& e);
  Result<Value> evaluate_test(const Expression& e);
  Result<Arguments> evaluate_arguments(u32 offset, std::span<const Argument> arguments);
  Result<bool> holds(const Expression& e);
  Result<bool> compare(u32 offset, Operator op, const Value& a, const Value& b);
  Result<Value> call_macro(const Macro& macro, const Arguments& arguments);
  Result<Value> loop_attribute(const Loop& loop, std::string_view name);
  Result<Value> add(u32 offset, const Value& a, const Value& b);
  Result<Value> concatenate(std::string_view a, std::string_view b);
  Result<Value> repeat(std::string_view text, i64 times);
  Result<Value> repeat_list(const Value& list, i64 times);
  Result<void> deeper(u32 offset);

  Arena& arena_;
  Reporter& reporter_;
  Limits limits_;
  String* out_;
  i64 now_unix_;
  Scope root_;
  Scope* scope_ = &root_;
  Value captured_;
  u64 steps_ = 0;
  usize written_ = 0;
  u32 depth_ = 0;
};

bool truth(const Value& value);

// Append str(), repr() or json.dumps() of a value to `out`. Nesting deeper than 32 is an error.
struct JsonStyle {
  i64 indent = -1;  // -1: on one line
  std::string_view item_separator = ", ", key_separator = ": ";
  bool sort_keys = false;
};
Result<void> append_text(Interpreter& in, const Value& value, String& out);
Result<void> append_repr(Interpreter& in, const Value& value, String& out, u32 depth = 0);
Result<void> append_json(Interpreter& in, u32 offset, const Value& value, const JsonStyle& style,
                         String& out, u32 depth = 0);

// Look up and call the methods of strings, lists and dicts.
bool has_method(const Value& object, std::string_view name);
Result<Value> call_method(Interpreter& in, const Method& method, const Arguments& arguments);
// The functions that every template knows.
bool has_global(const Interpreter& in, std::string_view name);
Result<Value> call_global(Interpreter& in, std::string_view name, const Arguments& arguments);

// ---- text as Python sees it: positions count code points (jinja_strings.cpp)
u64 count_characters(std::string_view text);
usize byte_offset(std::string_view text, u64 character);
std::string_view strip(std::string_view text, std::string_view characters, bool left, bool right);
Result<Value> change_case(Interpreter& in, std::string_view text, std::string_view how);
Result<Value> replace_text(Interpreter& in, std::string_view text, std::string_view from,
                           std::string_view to, i64 most);
bool is_space(u32 code);
// The bytes of the first line of `text`, without and with its end; both are the same if it has
// none.
struct FirstLine {
  usize size, whole;
};
FirstLine first_line(std::string_view text);
// Returns where the character before `end` begins. `end` is not 0.
usize previous_character(std::string_view text, usize end);

// ---- texts with holes (jinja_format.cpp)
Result<Value> format_percent(Interpreter& in, Value format, const Arguments& arguments);
Result<Value> format_braces(Interpreter& in, Value format, const Arguments& arguments);

}  // namespace ai::jinja
