// SPDX-License-Identifier: GPL-2.0-or-later
// Byte streams for a person: serial line, screen, keyboard, the hosted twin's stdio.
#pragma once

#include <string_view>

#include "kernel/base/result.h"

class CharDevice {
 public:
  virtual const char* name() const = 0;
  // Writes all of `text` and drops nothing. May wait for the device (a 9600-baud line).
  virtual void write(std::string_view text) = 0;
  // Shows what write() may still hold back. Any context, including a panic.
  virtual void flush() {}
  // Returns the next input byte (keys come as UTF-8 and ANSI escape sequences), or -1.
  virtual int read() = 0;
  // If true, the device calls terminal::input_arrived() when it has input. Other devices are
  // polled.
  virtual bool announces_input() const { return false; }
  // Width and height in characters; 0 if unknown.
  virtual u32 columns() const { return 0; }
  virtual u32 rows() const { return 0; }

 protected:
  ~CharDevice() = default;  // devices are never destroyed
};
