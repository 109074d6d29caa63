// SPDX-License-Identifier: GPL-2.0-or-later
// The console's input and output: the machine's terminal, or a test's script. For the shell's
// thread; read_until() waits.
#pragma once

#include "kernel/base/format.h"

namespace console {

class Io : public base::Writer {
 public:
  // Returns the next input byte, or -1 if none came until `deadline_ns`. With ~0 it waits for ever
  // (but a script at its end gives -1).
  virtual int read_until(u64 deadline_ns) = 0;
  virtual bool interrupted() = 0;  // whether Ctrl-C came since the last call
  // While a line is edited it owns the cursor's row. row_lost() tells that other output was printed
  // there since the last call; read_until() returns early for that.
  virtual void own_row(bool) {}
  virtual bool row_lost() { return false; }
  virtual u32 columns() = 0;
  virtual u64 now_ns() = 0;

 protected:
  ~Io() = default;
};

Io& terminal_io();

// Returns the Io of the running shell, for commands that talk with the person. It is terminal_io()
// unless a test has set another.
Io& io();
void set_io(Io* io);  // null = terminal_io()

}  // namespace console
