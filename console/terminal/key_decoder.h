// SPDX-License-Identifier: GPL-2.0-or-later
// Turns bytes from a terminal into keys: UTF-8, control characters, ANSI escape sequences (ECMA-48,
// in the forms of xterm and the Linux console) and bracketed paste. Pure: it knows no clock and no
// device.
#pragma once

#include "kernel/base/containers.h"
#include "kernel/base/text_width.h"

namespace console {

enum class Key : u8 {
  kNone,
  kText,  // KeyEvent::code is the character
  kEnter,
  kTab,
  kBackspace,
  kDelete,
  kLeft,
  kRight,
  kUp,
  kDown,
  kHome,
  kEnd,
  kWordLeft,
  kWordRight,
  kKillToEnd,
  kKillToStart,
  kKillWordLeft,
  kKillWordRight,
  kYank,
  kSearch,
  kClearScreen,
  kInterrupt,
  kEndOfInput,  // Ctrl-D: deletes to the right, or leaves if the line is empty
  kCancel,      // Ctrl-G or a lone Escape
  kSwap,
};

struct KeyEvent {
  Key key = Key::kNone;
  u32 code = 0;
};

class KeyDecoder {
 public:
  using Events = StaticVector<KeyEvent, 2>;
  Events feed(u8 byte);

  // Returns true in the middle of a sequence: call idle() if nothing more comes for
  // `patience_ns()`.
  bool pending() const { return state_ != State::kGround || utf8_.pending() || pasting_; }
  u64 patience_ns() const;
  // Gives up on an incomplete sequence (a lone Escape is Key::kCancel).
  Events idle();
  bool pasting() const { return pasting_; }

 private:
  enum class State : u8 { kGround, kEscape, kCsi, kSs3, kString, kStringEscape };
  void ground(u8 byte, Events& out);
  void text(u8 byte, Events& out);
  void end_sequence(u8 final, Events& out);

  State state_ = State::kGround;
  bool pasting_ = false;
  bool after_return_ = false;  // the \n of a \r\n is not a second Enter
  base::Utf8Assembler utf8_;
  // CSI parameters as received. Longer ones are read to their end and ignored.
  char parameters_[16] = {};
  usize parameter_size_ = 0;
};

}  // namespace console
