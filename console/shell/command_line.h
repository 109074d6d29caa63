// SPDX-License-Identifier: GPL-2.0-or-later
// The shell's grammar: `COMMAND word "quoted word" 'raw word'; COMMAND …`.
//
// A semicolon or a line end outside quotes ends a command. Double quotes and a backslash work
// anywhere in a word ("\"" and "\\" inside quotes, "\ " outside). Single quotes work only at the
// start of a word, so that `echo don't` needs none. Pure and without allocation, so the panic shell
// can use it.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/result.h"

namespace console {

// One word of a command.
struct Word {
  std::string_view text;  // unquoted, in the caller's room
  usize start, end;       // its place in the line, quotes included
};

// Reads one line of commands. `room` receives the unquoted text; the length of the line is always
// enough.
class CommandReader {
 public:
  CommandReader(std::string_view line, std::span<char> room) : line_(line), room_(room) {}

  // Moves to the next command that is not empty. Returns false at the end of the line.
  bool next_command();
  // Returns the command's next word, kNotFound after the last one, or kInvalidArgument for an open
  // quote.
  Result<Word> next_word();
  // Returns the text from `start` (a Word's end) to the end of the command, as typed, without outer
  // spaces.
  std::string_view raw_from(usize start) const;

 private:
  bool at_command_end() const;
  usize command_end(usize from) const;

  std::string_view line_;
  std::span<char> room_;
  usize at_ = 0;
  bool started_ = false;
  bool broken_ = false;
};

}  // namespace console
