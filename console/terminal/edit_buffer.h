// SPDX-License-Identifier: GPL-2.0-or-later
// The text being typed and its cursor: two stacks of bytes that meet at the cursor, so that typing
// anywhere in a line of 100 kB is cheap. It always holds whole UTF-8 characters.
#pragma once

#include "kernel/base/containers.h"

namespace console {

constexpr usize kLongestLine = kMiB;  // bytes

class EditBuffer {
 public:
  // Returns kFull at kLongestLine.
  Result<void> insert(u32 code);
  Result<void> insert(std::string_view text);
  Result<void> set(std::string_view text);  // cursor at the end
  void clear();

  // Each moves over or erases one visible character (with its combining marks) or one word.
  bool left();
  bool right();
  bool word_left();
  bool word_right();
  void home();
  void end();
  bool erase_left();
  bool erase_right();
  // `yank` inserts what was cut.
  void kill_to_end();
  void kill_to_start();
  void kill_word_left();
  void kill_word_right();
  Result<void> yank();
  void swap();  // exchanges the two characters before the cursor

  std::string_view before() const { return before_.view(); }
  // The bytes right of the cursor are stored in reverse.
  usize after_size() const { return after_.size(); }
  char after(usize i) const { return after_[after_.size() - 1 - i]; }
  usize size() const { return before_.size() + after_.size(); }
  bool empty() const { return size() == 0; }
  // Returns the whole line and moves the cursor to its end.
  std::string_view text();

 private:
  usize step_left() const;   // bytes of the character left of the cursor
  usize step_right() const;  // bytes of the character right of it
  void move_left(usize bytes);
  void move_right(usize bytes);
  void kill_before(usize bytes);
  void kill_after(usize bytes);

  String before_;
  Vector<char> after_;
  String killed_;
};

}  // namespace console
