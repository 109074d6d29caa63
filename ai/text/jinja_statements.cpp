// SPDX-License-Identifier: GPL-2.0-or-later
// Executes a template's statements.
#include "ai/text/jinja_interpreter.h"

namespace ai::jinja {

Result<void> Interpreter::define(std::string_view name, Value value) {
  return root_.names.set(arena_, name, value);
}

Result<void> Interpreter::run(Body body) {
  TRY(execute(body));
  return {};
}

Result<void> Interpreter::spend(u64 steps) {
  if (steps > limits_.steps - steps_)
    return reporter_.fail(0, "the template runs too long (more than {} steps)", limits_.steps);
  steps_ += steps;
  return {};
}

Result<void> Interpreter::deeper(u32 offset) {
  if (depth_ >= limits_.depth) return reporter_.fail(offset, "calls and blocks nest too deeply");
  return {};
}

Result<void> Interpreter::write(std::string_view text) {
  TRY(spend(text.size() / 64 + 1));
  if (text.size() > limits_.output - written_) {
    static_cast<void>(reporter_.fail(0, "the template writes more than {} bytes", limits_.output));
    return ::fail(Errc::kContextFull, "the template writes too much");
  }
  written_ += text.size();
  return out_->append(text);
}

Result<void> Interpreter::write_value(const Value& value) {
  if (value.is(Kind::kString)) return write(value.text());
  std::string_view text = TRY(text_of(value));
  return write(text);
}

Result<Interpreter::Flow> Interpreter::execute(Body body) {
  for (const Statement* statement : body) {
    Flow flow = TRY(execute_one(*statement));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::execute_one(const Statement& statement) {
  TRY(spend(1));
  TRY(deeper(statement.offset));
  depth_++;
  Result<Flow> flow = Flow::kNext;
  auto done = [&flow](Result<void> result) {
    if (!result.has_value()) flow = std::unexpected(result.error());
  };
  switch (statement.kind) {
    case Statement::Kind::kText:
      done(write(statement.name));
      break;
    case Statement::Kind::kOutput: {
      Result<Value> value = evaluate(*statement.value);
      done(value.has_value() ? write_value(*value) : Result<void>(std::unexpected(value.error())));
      break;
    }
    case Statement::Kind::kIf:
      flow = execute_if(statement);
      break;
    case Statement::Kind::kFor:
      flow = execute_for(statement);
      break;
    case Statement::Kind::kSet:
      done(execute_set(statement));
      break;
    case Statement::Kind::kSetAttribute:
      done(execute_set_attribute(statement));
      break;
    case Statement::Kind::kSetBlock:
    case Statement::Kind::kFilterBlock:
      done(execute_captured(statement));
      break;
    case Statement::Kind::kMacro:
      done(execute_macro(statement));
      break;
    case Statement::Kind::kCallBlock:
      done(execute_call_block(statement));
      break;
    case Statement::Kind::kBreak:
      flow = Flow::kBreak;
      break;
    case Statement::Kind::kContinue:
      flow = Flow::kContinue;
      break;
  }
  depth_--;
  return flow;
}

Result<Interpreter::Flow> Interpreter::execute_if(const Statement& statement) {
  for (const Branch& branch : statement.branches) {
    if (branch.condition != nullptr && !TRY(holds(*branch.condition))) continue;
    return execute(branch.body);
  }
  return Flow::kNext;
}

Result<List*> Interpreter::wanted_items(const Statement& statement, std::span<Value> items) {
  List* wanted = TRY(new_list());
  for (const Value& item : items) {
    TRY(spend(1));
    Scope* inner = TRY(arena_.make<Scope>());
    inner->parent = scope_;
    scope_ = inner;
    Result<void> assigned = assign(statement.offset, statement.targets, item);
    Result<bool> want = assigned.has_value() ? holds(*statement.condition)
                                             : Result<bool>(std::unexpected(assigned.error()));
    scope_ = inner->parent;
    if (TRY(std::move(want))) TRY(wanted->append(arena_, item));
  }
  return wanted;
}

Result<Interpreter::Flow> Interpreter::execute_for(const Statement& statement) {
  Value over = TRY(evaluate(*statement.value));
  Loop* loop = TRY(arena_.make<Loop>());
  // If the body appends to the list, the loop still visits only the items that were there at the
  // start.
  loop->items = TRY(iterate(statement.offset, over));
  if (statement.condition != nullptr)
    loop->items = TRY(wanted_items(statement, loop->items))->view();
  // As in Jinja, "else" is for loops in which no iteration came to its end, by "continue" either.
  bool ended = false;
  for (; loop->index < loop->items.size(); loop->index++) {
    Flow flow = TRY(execute_iteration(statement, *loop));
    ended = ended || flow == Flow::kNext;
    if (flow == Flow::kBreak) break;
  }
  return ended ? Flow::kNext : execute(statement.otherwise);
}

// Each iteration has its own scope: what it sets is gone in the next one.
Result<Interpreter::Flow> Interpreter::execute_iteration(const Statement& statement, Loop& loop) {
  TRY(spend(1));
  Scope* inner = TRY(arena_.make<Scope>());
  inner->parent = scope_;
  scope_ = inner;
  Value handle = none();
  handle.kind = Kind::kLoop;
  handle.loop = &loop;
  Result<void> ready = assign(statement.offset, statement.targets, loop.items[loop.index]);
  if (ready.has_value()) ready = inner->names.set(arena_, "loop", handle);
  Result<Flow> flow =
      ready.has_value() ? execute(statement.body) : Result<Flow>(std::unexpected(ready.error()));
  scope_ = inner->parent;
  return flow;
}

Result<void> Interpreter::assign(u32 offset, std::span<std::string_view> targets,
                                 const Value& value) {
  if (targets.size() == 1) return scope_->names.set(arena_, targets[0], value);
  std::span<Value> parts = TRY(iterate(offset, value));
  if (parts.size() != targets.size())
    return reporter_.fail(offset, "{} values cannot be assigned to {} names", parts.size(),
                          targets.size());
  for (usize i = 0; i < targets.size(); i++) TRY(scope_->names.set(arena_, targets[i], parts[i]));
  return {};
}

Result<void> Interpreter::execute_set(const Statement& statement) {
  Value value = TRY(evaluate(*statement.value));
  return assign(statement.offset, statement.targets, value);
}

Result<void> Interpreter::execute_set_attribute(const Statement& statement) {
  Value value = TRY(evaluate(*statement.value));
  for (Scope* s = scope_; s != nullptr; s = s->parent) {
    Value* space = s->names.find(statement.name);
    if (space == nullptr) continue;
    if (!space->is(Kind::kNamespace)) break;
    return space->dict->set(arena_, statement.targets[0], value);
  }
  return reporter_.fail(statement.offset, "\"{}\" is not a namespace", statement.name);
}

Result<Value> Interpreter::capture(Body body) {
  String text;
  Scope* inner = TRY(arena_.make<Scope>());
  inner->parent = scope_;
  scope_ = inner;
  String* outer = std::exchange(out_, &text);
  Result<Flow> flow = execute(body);
  scope_ = inner->parent;
  out_ = outer;
  TRY(std::move(flow));
  return keep(text.view());
}

// Executes {% set x %}…{% endset %} and {% filter f %}…{% endfilter %}.
Result<void> Interpreter::execute_captured(const Statement& statement) {
  Value text = TRY(capture(statement.body));
  Value outer = std::exchange(captured_, text);
  Result<Value> value = evaluate(*statement.value);
  captured_ = outer;
  Value result = TRY(std::move(value));
  if (statement.kind == Statement::Kind::kFilterBlock) return write_value(result);
  return assign(statement.offset, statement.targets, result);
}

Result<void> Interpreter::execute_macro(const Statement& statement) {
  Macro* macro = TRY(arena_.make<Macro>());
  macro->definition = &statement;
  macro->scope = scope_;
  Value value = none();
  value.kind = Kind::kMacro;
  value.macro = macro;
  return scope_->names.set(arena_, statement.name, value);
}

// Executes {% call f(x) %}…{% endcall %}: in f, caller() returns the block's text.
Result<void> Interpreter::execute_call_block(const Statement& statement) {
  Macro* block = TRY(arena_.make<Macro>());
  block->definition = &statement;
  block->scope = scope_;
  Value callee = TRY(evaluate(*statement.value->left));
  Arguments arguments = TRY(evaluate_arguments(statement.offset, statement.value->arguments));
  if (!callee.is(Kind::kMacro))
    return reporter_.fail(statement.offset, "a call block needs a macro");
  Macro called = *callee.macro;
  called.caller = block;
  Value text = TRY(call_macro(called, arguments));
  return write_value(text);
}

Result<Value> Interpreter::call_macro(const Macro& macro, const Arguments& arguments) {
  const Statement& definition = *macro.definition;
  Scope* inner = TRY(arena_.make<Scope>());
  inner->parent = macro.scope;
  Scope* outer = std::exchange(scope_, inner);
  auto bind = [&]() -> Result<void> {
    usize taken = 0;
    for (const Parameter& parameter : definition.parameters) {
      Value value = arguments.get(taken++, parameter.name, undefined(parameter.name));
      if (value.is(Kind::kUndefined) && parameter.fallback != nullptr)
        value = TRY(evaluate(*parameter.fallback));
      TRY(inner->names.set(arena_, parameter.name, value));
    }
    if (arguments.positional.size() > definition.parameters.size())
      return reporter_.fail(arguments.offset, "macro \"{}\" takes {} arguments, not {}",
                            definition.name, definition.parameters.size(),
                            arguments.positional.size());
    if (macro.caller == nullptr) return {};
    Value caller = none();
    caller.kind = Kind::kMacro;
    caller.macro = macro.caller;
    return inner->names.set(arena_, "caller", caller);
  };
  Result<void> bound = bind();
  Result<Value> text =
      bound.has_value() ? capture(definition.body) : Result<Value>(std::unexpected(bound.error()));
  scope_ = outer;
  return text;
}

}  // namespace ai::jinja
