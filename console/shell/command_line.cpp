// SPDX-License-Identifier: GPL-2.0-or-later
// Splits a line into commands and words.
#include "console/shell/command_line.h"

#include <algorithm>

namespace console {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

bool ends_command(char c) {
  return c == ';' || c == '\n';
}

// Follows quoting one character at a time. Scanning and unquoting share it.
struct Quoting {
  enum class Step : u8 { kPlain, kLiteral, kMark, kEscape };
  char quote = 0;

  // Classifies line[at]. After kEscape, the next character is literal.
  Step step(std::string_view line, usize at, bool word_start) {
    char c = line[at];
    bool has_next = at + 1 < line.size();
    if (quote == '\'') {
      if (c != '\'') return Step::kLiteral;
      quote = 0;
      return Step::kMark;
    }
    if (c == '"') {
      quote = quote == 0 ? '"' : 0;
      return Step::kMark;
    }
    if (c == '\\' && has_next) {
      char next = line[at + 1];
      bool meant = next == '"' || next == '\\' ||
                   (quote == 0 && (is_space(next) || ends_command(next) || next == '\''));
      if (meant) return Step::kEscape;
    }
    if (quote == 0 && c == '\'' && word_start) {
      quote = '\'';
      return Step::kMark;
    }
    return quote != 0 ? Step::kLiteral : Step::kPlain;
  }
};

}  // namespace

bool CommandReader::at_command_end() const {
  return at_ >= line_.size() || ends_command(line_[at_]);
}

usize CommandReader::command_end(usize from) const {
  Quoting quoting;
  bool word_start = true;
  usize at = from;
  while (at < line_.size()) {
    Quoting::Step step = quoting.step(line_, at, word_start);
    if (step == Quoting::Step::kPlain && ends_command(line_[at])) break;
    word_start = step == Quoting::Step::kPlain && is_space(line_[at]);
    at += step == Quoting::Step::kEscape ? 2 : 1;
  }
  return std::min(at, line_.size());
}

bool CommandReader::next_command() {
  if (started_) at_ = broken_ ? line_.size() : command_end(at_);
  started_ = true;
  while (at_ < line_.size() && (is_space(line_[at_]) || ends_command(line_[at_]))) at_++;
  return at_ < line_.size();
}

Result<Word> CommandReader::next_word() {
  while (at_ < line_.size() && is_space(line_[at_])) at_++;
  if (at_command_end()) return fail(Errc::kNotFound, "no more words");
  Word word{{}, at_, at_};
  Quoting quoting;
  usize size = 0;
  while (at_ < line_.size()) {
    Quoting::Step step = quoting.step(line_, at_, at_ == word.start);
    if (step == Quoting::Step::kPlain && (is_space(line_[at_]) || ends_command(line_[at_]))) break;
    if (step == Quoting::Step::kEscape) at_++;
    if (step != Quoting::Step::kMark) {
      if (size >= room_.size()) return fail(Errc::kFull, "the line is too long");
      room_[size++] = line_[at_];
    }
    at_++;
  }
  if (quoting.quote != 0) {
    broken_ = true;
    return fail(Errc::kInvalidArgument, "a quote is not closed");
  }
  word.text = {room_.data(), size};
  word.end = at_;
  room_ = room_.subspan(size);
  return word;
}

std::string_view CommandReader::raw_from(usize start) const {
  std::string_view raw = line_.substr(start, command_end(start) - start);
  while (!raw.empty() && is_space(raw.front())) raw.remove_prefix(1);
  while (!raw.empty() && is_space(raw.back())) raw.remove_suffix(1);
  return raw;
}

}  // namespace console
