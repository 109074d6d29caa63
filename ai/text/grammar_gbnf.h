// SPDX-License-Identifier: GPL-2.0-or-later
// The internals of the GBNF compiler: one class, implemented in grammar_gbnf.cpp (the text) and
// grammar_gbnf_checks.cpp (what is looked at when all rules are known).
#pragma once

#include "ai/text/grammar.h"
#include "ai/text/name_index.h"

namespace ai {

constexpr const char* kNothingEnds = "no text that ends meets the rule root";

class GbnfCompiler {
 public:
  GbnfCompiler(std::string_view text, Grammar& out, base::Writer& problem)
      : text_(text), out_(out), problem_(problem) {}

  Result<void> run();

 private:
  using State = Grammar::State;
  struct CharRange {
    u32 low, high;
  };
  // A part of the automaton: states [first, end of building) with one entry and one exit. The exit
  // is a jump whose target is not set yet.
  struct Fragment {
    u32 start, exit;
  };
  struct Rule {
    u32 start = Grammar::kNone;
    // index into waits_: the searches that continue once this rule may be empty
    u32 waiting = Grammar::kNone;
    bool nullable = false;
  };
  // A state that is reached without consuming a byte, and the rule it belongs to.
  struct Reached {
    u32 state, rule;
  };
  struct Wait {
    Reached then;
    u32 next;  // index into waits_
  };
  // Rule `caller` begins with a call of `callee`.
  struct FirstCall {
    u32 caller, callee;
  };

  Result<void> error(const char* what, std::string_view about = {});
  Result<void> too_much(const char* what, usize have, usize most);
  bool more() const { return at_ < text_.size(); }
  char peek() const { return more() ? text_[at_] : '\0'; }
  bool take(std::string_view literal);
  void skip_space();
  bool at_rule_head() const;
  std::string_view name();
  Result<u32> rule_index(std::string_view name);

  Result<void> rule();
  Result<Fragment> alternates(u32 depth);
  Result<Fragment> sequence(u32 depth);
  Result<Fragment> item(u32 depth);
  Result<Fragment> literal();
  Result<Fragment> char_class();
  Result<Fragment> repeated(Fragment item, u32 first_state);
  Result<Fragment> repeat(Fragment item, u32 first_state, u32 least, u32 most);
  Result<u32> character();
  Result<u32> number();

  Result<u32> add(State state);
  Result<u32> jump() { return add({.kind = State::Kind::kSplit}); }
  Result<u32> split(u32 next, u32 other) {
    return add({.kind = State::Kind::kSplit, .next = next, .other = other});
  }
  Result<Fragment> bytes(std::string_view text);
  Result<Fragment> ranges(Vector<CharRange>& list, bool negated);
  Result<void> range_bytes(u32 low, u32 high, u32 exit, Vector<u32>& starts);
  Result<Fragment> choice(const Vector<u32>& starts, u32 exit);
  Result<Fragment> copy(Fragment item, u32 first_state, u32 end_state);

  Result<void> check_names();
  Result<void> reach(u32 state, u32 rule);
  Result<void> follow(Reached at);
  Result<void> may_be_empty(u32 rule);
  Result<void> find_first_calls();
  Result<void> check_left_recursion();
  Result<void> remove_dead_ends();
  void find_distinct();
  void assign_classes();

  std::string_view text_;
  Grammar& out_;
  base::Writer& problem_;
  usize at_ = 0;
  NameIndex names_;  // names of the rules, in their order
  Vector<Rule> rules_;
  Vector<bool> reached_;  // indexed by state; rules do not share states
  Vector<Reached> todo_;
  Vector<Wait> waits_;
  Vector<FirstCall> first_calls_;
};

}  // namespace ai
