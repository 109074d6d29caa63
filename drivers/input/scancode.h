// SPDX-License-Identifier: GPL-2.0-or-later
// Converts PS/2 scan codes to what a terminal would send: US layout, modifiers, escape sequences.
// (IBM PS/2 Technical Reference, keyboard scan code sets 1 and 2.) Pure.
#pragma once

#include "kernel/base/containers.h"

namespace input {

enum class ScancodeSet : u8 { kSet1, kSet2 };

struct KeyPress {
  StaticVector<char, 8> bytes;  // for the terminal's input; often none
  i8 scroll = 0;                // Shift-PgUp: +1, Shift-PgDn: -1 half screens
  bool restart = false;         // Ctrl-Alt-Del
};

class ScancodeDecoder {
 public:
  constexpr explicit ScancodeDecoder(ScancodeSet set) : set_(set) {}
  KeyPress feed(u8 scancode);

 private:
  KeyPress key(u8 code, bool extended, bool released);
  void modifier(u8 code, bool extended, bool released);
  void character(char plain, char shifted, KeyPress& out) const;

  ScancodeSet set_;
  bool extended_ = false;  // after 0xe0
  bool released_ = false;  // after set 2's 0xf0
  u8 skip_ = 0;            // bytes of Pause's sequence that are still to come
  bool shift_left_ = false, shift_right_ = false, control_ = false, alt_ = false;
  bool caps_ = false, num_ = true;
};

}  // namespace input
