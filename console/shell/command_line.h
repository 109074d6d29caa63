// SPDX-License-Identifier: GPL-2.0-or-later
// The shell's grammar: `COMMAND word "quoted word" 'raw word'; COMMAND …`.
//
// A semicolon or a line end outside quotes ends a command. Double quotes and a backslash work
// anywhere in a word ("\"" and "\\" inside quotes, "\ " outside), single quotes only at its start,
// so that `echo don't` needs none. Pure, no allocation: usable in the panic shell.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/result.h"

namespace console {

// The next word of one command.
struct Word {
  std::string_view text;  // unquoted, in the caller's room
  usize start, end;       // where it stands in the line, quotes included
};

// Walks one sequence. `room` receives the unquoted text: as long as the line is always enough.
class CommandReader {
 public:
  CommandReader(std::string_view line, std::span<char> room) : line_(line), room_(room) {}

  // Goes to the next command that is not empty; false at the end of the line.
  bool next_command();
  // Its next word; kNotFound after the last, kInvalidArgument for a quote that is not closed.
  Result<Word> next_word();
  // From `start` (a Word's end) to the end of the command, as typed, without outer spaces.
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
