// SPDX-License-Identifier: GPL-2.0-or-later
// Connects the console to the machine's terminal.
#include "console/terminal/io.h"

#include "kernel/dev/terminal.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

class TerminalIo final : public Io {
 public:
  void write(std::string_view text) override { terminal::write(text); }
  int read_until(u64 deadline_ns) override { return terminal::read_until(deadline_ns); }
  bool interrupted() override { return terminal::interrupted(); }
  void own_row(bool on) override { terminal::own_row(on); }
  bool row_lost() override { return terminal::row_lost(); }
  u32 columns() override { return terminal::columns(); }
  u64 now_ns() override { return timing::now_ns(); }
};

constinit Io* chosen = nullptr;

}  // namespace

Io& terminal_io() {
  static constinit TerminalIo terminal;
  return terminal;
}

Io& io() {
  return chosen != nullptr ? *chosen : terminal_io();
}

void set_io(Io* io) {
  chosen = io;
}

}  // namespace console
