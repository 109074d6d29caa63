// SPDX-License-Identifier: GPL-2.0-or-later
// Checks a compiled GBNF grammar as a whole: undefined rules, left recursion, dead ends, byte
// classes.
#include "ai/text/grammar_gbnf.h"

namespace ai {

// Finds the states that can be reached from a rule's start without consuming a byte, each once. The
// search passes a call if the called rule may be empty, which may become known later.
Result<void> GbnfCompiler::find_first_calls() {
  TRY(reached_.resize(out_.states_.size()));
  for (u32 rule = 0; rule < rules_.size(); rule++) {
    TRY(reach(rules_[rule].start, rule));
    while (!todo_.empty()) {
      Reached at = todo_.back();
      todo_.pop_back();
      TRY(follow(at));
    }
  }
  return {};
}

Result<void> GbnfCompiler::reach(u32 state, u32 rule) {
  if (state == Grammar::kNone || reached_[state]) return {};
  reached_[state] = true;
  out_.compile_steps_++;
  return todo_.push_back({state, rule});
}

Result<void> GbnfCompiler::follow(Reached at) {
  State s = out_.states_[at.state];
  if (s.kind == State::Kind::kReturn) return may_be_empty(at.rule);
  if (s.kind == State::Kind::kSplit) {
    TRY(reach(s.next, at.rule));
    return reach(s.other, at.rule);
  }
  if (s.kind != State::Kind::kCall) return {};
  TRY(first_calls_.push_back({at.rule, s.next}));
  Rule& called = rules_[s.next];
  if (called.nullable) return reach(s.other, at.rule);
  TRY(waits_.push_back({{s.other, at.rule}, called.waiting}));
  called.waiting = static_cast<u32>(waits_.size() - 1);
  return {};
}

Result<void> GbnfCompiler::may_be_empty(u32 rule) {
  rules_[rule].nullable = true;
  u32 wait = std::exchange(rules_[rule].waiting, Grammar::kNone);
  for (; wait != Grammar::kNone; wait = waits_[wait].next)
    TRY(reach(waits_[wait].then.state, waits_[wait].then.rule));
  return {};
}

// A rule is finished when all its first calls are finished rules. Rules that never finish are in a
// cycle.
Result<void> GbnfCompiler::check_left_recursion() {
  usize count = rules_.size();
  Vector<u32> open, callers_at, callers, order;
  TRY(open.resize(count));
  TRY(callers_at.resize(count + 1));
  TRY(callers.resize(first_calls_.size()));
  TRY(order.reserve(count));
  for (const FirstCall& call : first_calls_) {
    open[call.caller]++;
    callers_at[call.callee + 1]++;
  }
  for (usize i = 0; i < count; i++) callers_at[i + 1] += callers_at[i];
  Vector<u32> fill = TRY(callers_at.clone());
  for (const FirstCall& call : first_calls_) callers[fill[call.callee]++] = call.caller;
  for (u32 rule = 0; rule < count; rule++)
    if (open[rule] == 0) TRY(order.push_back(rule));
  for (usize i = 0; i < order.size(); i++)
    for (u32 c = callers_at[order[i]]; c < callers_at[order[i] + 1]; c++)
      if (--open[callers[c]] == 0) TRY(order.push_back(callers[c]));
  for (u32 rule = 0; rule < count; rule++)
    if (open[rule] != 0) return error("rule is left-recursive:", names_[rule]);
  return {};
}

// Removes the ways from which no text ever ends, so that nobody is led into them. Works backwards
// from the ends of rules: a call ends if the called rule and what follows it both end.
Result<void> GbnfCompiler::remove_dead_ends() {
  Vector<State>& states = out_.states_;
  usize count = states.size();
  Vector<u32> before_at, before, todo;  // the states that lead to a state
  Vector<u8> missing;                   // how many successors must still end; 0 = this state ends
  TRY(before_at.resize(count + 1));
  TRY(missing.resize(count));
  auto successors = [&](const State& s, auto&& visit) {
    u32 next = s.kind == State::Kind::kCall ? rules_[s.next].start : s.next;
    if (s.kind == State::Kind::kRange && s.low > s.high) next = Grammar::kNone;
    if (next != Grammar::kNone) visit(next);
    if (s.other != Grammar::kNone) visit(s.other);
  };
  for (u32 i = 0; i < count; i++) {
    successors(states[i], [&](u32 to) { before_at[to + 1]++; });
    missing[i] = states[i].kind == State::Kind::kCall ? 2 : 1;
    if (states[i].kind == State::Kind::kReturn) TRY(todo.push_back(i));
  }
  for (usize i = 0; i < count; i++) before_at[i + 1] += before_at[i];
  TRY(before.resize(before_at[count]));
  Vector<u32> fill = TRY(before_at.clone());
  for (u32 i = 0; i < count; i++) successors(states[i], [&](u32 to) { before[fill[to]++] = i; });
  for (u32 i : todo) missing[i] = 0;
  while (!todo.empty()) {
    u32 at = todo.back();
    todo.pop_back();
    for (u32 b = before_at[at]; b < before_at[at + 1]; b++) {
      u8& left = missing[before[b]];
      if (left == 0) continue;
      left--;
      if (left == 0) TRY(todo.push_back(before[b]));
    }
  }
  if (missing[rules_[out_.root_].start] > 0) return error(kNothingEnds);
  constexpr State kDead{State::Kind::kRange, 1, 0, Grammar::kNone, Grammar::kNone};
  auto ends = [&](u32 s) { return s != Grammar::kNone && missing[s] == 0; };
  for (u32 i = 0; i < count; i++) {
    State& s = states[i];
    if (missing[i] > 0) s = kDead;
    if (s.kind != State::Kind::kSplit) continue;
    if (!ends(s.next)) s.next = std::exchange(s.other, Grammar::kNone);
    if (!ends(s.other)) s.other = Grammar::kNone;
  }
  return {};
}

// Finds the bracket of json-distinct, if a rule calls it.
void GbnfCompiler::find_distinct() {
  u32 rule = names_.find("json-distinct");
  if (rule == NameIndex::kNone) return;
  for (const State& s : out_.states_) {
    if (s.kind != State::Kind::kCall || s.next != rule) continue;
    u32 at = rules_[rule].start;
    while (at != Grammar::kNone && out_.states_[at].kind == State::Kind::kSplit)
      at = out_.states_[at].next;
    out_.distinct_state_ = at;
    return;
  }
}

// Puts two bytes into one class if every range contains both or neither.
void GbnfCompiler::assign_classes() {
  bool begins[257] = {};
  begins[0] = true;
  for (const State& s : out_.states_) {
    if (s.kind != State::Kind::kRange || s.low > s.high) continue;
    begins[s.low] = true;
    begins[s.high + 1] = true;
  }
  u32 current = 0;
  for (u32 byte = 0; byte < 256; byte++) {
    if (byte > 0 && begins[byte]) current++;
    out_.classes_[byte] = static_cast<u8>(current);
  }
  out_.class_count_ = current + 1;
}

}  // namespace ai
