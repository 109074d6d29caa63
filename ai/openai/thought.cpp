// SPDX-License-Identifier: GPL-2.0-or-later
// Looking for the marks of a thought in text that comes in pieces.
#include "ai/openai/thought.h"

#include <algorithm>

namespace ai::openai {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>", kBlanks = " \t\r\n";

}  // namespace

void ThoughtReader::drop(usize bytes) {
  Vector<char>& chars = held_.chars();
  std::copy(chars.begin() + bytes, chars.end(), chars.begin());
  chars.truncate(chars.size() - bytes);
}

Result<void> ThoughtReader::feed(std::string_view text) {
  TRY(held_.append(text));
  while (!held_.empty() && step()) {
  }
  return {};
}

// Returns false if there is nothing more to do until more text comes.
bool ThoughtReader::step() {
  switch (state_) {
    case State::kStart:
      return start_step();
    case State::kThought:
      return thought_step();
    case State::kOpened:
      return skip_blanks(State::kThought);
    case State::kClosed:
      return skip_blanks(State::kSaid);
    case State::kSaid:
      sink_.on_said(held_.view());
      held_.clear();
      return false;
  }
  return false;
}

bool ThoughtReader::skip_blanks(State then) {
  usize at = held_.view().find_first_not_of(kBlanks);
  drop(std::min(at, held_.size()));
  if (at != std::string_view::npos) state_ = then;
  return at != std::string_view::npos;
}

// An answer without a thought comes out as it is, its first blanks too.
bool ThoughtReader::start_step() {
  std::string_view text = held_.view();
  usize at = std::min(text.find_first_not_of(kBlanks), text.size());
  std::string_view rest = text.substr(at);
  if (rest.size() < kOpen.size() && kOpen.starts_with(rest)) return false;
  bool thinks = rest.starts_with(kOpen);
  if (thinks) drop(at + kOpen.size());
  state_ = thinks ? State::kOpened : State::kSaid;
  return true;
}

// Blanks at the end are held back: they may stand before the mark.
bool ThoughtReader::thought_step() {
  std::string_view text = held_.view();
  usize close = text.find(kClose);
  std::string_view thought = text.substr(0, close);
  if (close == std::string_view::npos) {
    usize partial = std::min(text.size(), kClose.size() - 1);
    while (partial > 0 && !kClose.starts_with(text.substr(text.size() - partial))) partial--;
    thought.remove_suffix(partial);
  }
  usize sure = thought.find_last_not_of(kBlanks) + 1;  // 0 where all of it is blank
  if (sure > 0) sink_.on_thought(thought.substr(0, sure));
  bool closed = close != std::string_view::npos;
  drop(closed ? close + kClose.size() : sure);
  if (closed) state_ = State::kClosed;
  return closed;
}

void ThoughtReader::finish() {
  if (held_.empty()) return;
  if (state_ == State::kThought)
    sink_.on_thought(held_.view());
  else if (state_ == State::kStart || state_ == State::kSaid)
    sink_.on_said(held_.view());
  held_.clear();
}

}  // namespace ai::openai
