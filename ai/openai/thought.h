// SPDX-License-Identifier: GPL-2.0-or-later
// An answer that begins with <think>…</think>, as reasoning models write it: the thought and what
// is said after it.
#pragma once

#include "kernel/base/containers.h"

namespace ai::openai {

class ThoughtSink {
 public:
  virtual void on_thought(std::string_view text) = 0;
  virtual void on_said(std::string_view text) = 0;

 protected:
  ~ThoughtSink() = default;
};

// Text in pieces, cut anywhere. Blanks around the two marks belong to neither part.
class ThoughtReader {
 public:
  // `open`: the prompt ends with <think>, so the answer begins within the thought.
  ThoughtReader(bool open, ThoughtSink& sink)
      : state_(open ? State::kOpened : State::kStart), sink_(sink) {}
  Result<void> feed(std::string_view text);
  // Passes on the text that was held back because it might have become a mark.
  void finish();
  // Returns true between the marks.
  bool thinking() const { return state_ == State::kOpened || state_ == State::kThought; }

 private:
  enum class State : u8 { kStart, kOpened, kThought, kClosed, kSaid };
  bool step();
  bool start_step();
  bool skip_blanks(State then);
  bool thought_step();
  void drop(usize bytes);

  State state_;
  ThoughtSink& sink_;
  String held_;
};

}  // namespace ai::openai
