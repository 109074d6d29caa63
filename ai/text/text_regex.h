// SPDX-License-Identifier: GPL-2.0-or-later
// The internals of the compiler of regular expressions: one class, implemented in text_regex.cpp
// (the pattern's parts) and text_regex_states.cpp (the automaton).
#pragma once

#include "ai/text/name_index.h"
#include "ai/text/pair_index.h"
#include "ai/text/text_automaton.h"

namespace ai {

class RegexCompiler {
 public:
  // `groups`: how many the pattern is nested in.
  RegexCompiler(std::string_view pattern, bool wide, u32 groups, Work& work)
      : text_(pattern), wide_(wide), groups_(groups), work_(work) {}

  // Keeps only texts of this set. Call it first.
  Result<void> keep_within(const TextAutomaton& texts) {
    within_ = true;
    return looked_.push_back(TRY(texts.clone()));
  }
  // Returns the texts in which the pattern is found anywhere, or at their start.
  Result<TextAutomaton> run(bool at_start, bool begin);

 private:
  static constexpr u32 kNone = ~u32{0};
  // A state of the nondeterministic automaton. kBegin and kEnd are passed only there in the text.
  struct Part {
    enum class Kind : u8 { kSplit, kChars, kBegin, kEnd, kLook, kAccept };
    Kind kind;
    u32 next = kNone, other = kNone;
    u32 first = 0, count = 0;  // kChars: its ranges; kLook: its first automaton
  };
  struct Fragment {
    u32 start, exit;  // `exit` is a split without a target
  };

  bool more() const { return at_ < text_.size(); }
  char peek() const { return more() ? text_[at_] : '\0'; }
  bool take(std::string_view literal) {
    if (!text_.substr(at_).starts_with(literal)) return false;
    at_ += literal.size();
    return true;
  }
  static std::unexpected<Error> bad(const char* why) { return fail(Errc::kInvalidArgument, why); }

  usize group_end(usize at) const;
  Result<Fragment> look_ahead(u32 depth);
  Result<void> read_looked(u32 depth);

  Result<Fragment> choice(u32 depth);
  Result<Fragment> sequence(u32 depth);
  Result<Fragment> atom(u32 depth);
  Result<Fragment> group(u32 depth);
  Result<Fragment> quantified(Fragment one, u32 first);
  Result<Fragment> repeat(Fragment one, u32 first, u32 least, u32 most);
  Result<u32> number();
  Result<u32> character(bool in_class);
  Result<u32> hex(u32 digits);
  Result<bool> named_class(Vector<CharRange>& set, bool wide);
  Result<void> property(Vector<CharRange>& set, bool negated, bool wide);
  Result<Fragment> char_class();

  Result<u32> add(Part part);
  Result<u32> jump() { return add({.kind = Part::Kind::kSplit}); }
  // Consumes `set`.
  Result<Fragment> chars(Vector<CharRange>& set, bool negated);
  Result<Fragment> mark(Part::Kind kind);

  // ---- subset construction. A thread is a part and a list of look-aheads that are running.
  Result<u32> list_of(Vector<u32>& running);
  Result<void> close(u32 part, u32 list, bool begin, bool end, Vector<u32>& out);
  Result<void> pass(u32 part, u32 list, bool end);
  bool all_accept(u32 list) const;
  Result<bool> step_list(u32 list, u32 c, u32& out);
  Result<TextAutomaton> determine(u32 start, bool begin);
  Result<void> borders_of(const Vector<u32>& set, Vector<u32>& out) const;
  Result<void> edges_of(const Vector<u32>& set, TextAutomaton& made);
  Result<u32> number_of(Vector<u32>& set);

  std::string_view text_;
  bool wide_;
  u32 groups_;
  Work& work_;
  usize at_ = 0;
  Vector<Part> parts_;
  Vector<CharRange> ranges_;
  bool within_ = false;
  u32 tail_ = kNone;  // takes any text and accepts
  // Two of each look-ahead: what it allows elsewhere in the text, and at the start.
  Vector<TextAutomaton> looked_;
  // Running look-aheads: pairs of an automaton in looked_ and its node.
  PairIndex running_;
  NameIndex list_names_;  // sorted lists of running_, by their bytes
  Vector<Vector<u32>> lists_;
  PairIndex threads_;
  Vector<u32> stamps_, todo_;  // of threads
  u32 stamp_ = 0;
  bool accepted_ = false, free_ = false;  // close() met kAccept, or the tail with nothing running
  Vector<Vector<u32>> sets_;
  NameIndex set_names_;
};

}  // namespace ai
