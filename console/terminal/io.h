// SPDX-License-Identifier: GPL-2.0-or-later
// What the console reads from and writes to: the machine's terminal, or a test's script.
#pragma once

#include "kernel/base/format.h"

namespace console {

class Io : public base::Writer {
 public:
  // The next input byte; -1 when none came until `deadline_ns`. With ~0 it waits for ever
  // (a script at its end gives -1 all the same).
  virtual int read_until(u64 deadline_ns) = 0;
  virtual bool interrupted() = 0;  // Ctrl-C since the last call?
  // While a line is edited it owns the cursor's row. row_lost(): others have printed there since
  // the last call; read_until returns early for that.
  virtual void own_row(bool) {}
  virtual bool row_lost() { return false; }
  virtual u32 columns() = 0;
  virtual u64 now_ns() = 0;

 protected:
  ~Io() = default;
};

Io& terminal_io();

// The Io of the shell that is running: for commands that talk with the person. terminal_io()
// unless a test has set another.
Io& io();
void set_io(Io* io);  // null = terminal_io()

}  // namespace console
