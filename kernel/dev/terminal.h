// SPDX-License-Identifier: GPL-2.0-or-later
// The console: every CharDevice at once. Output goes to all, input is merged from all.
#pragma once

#include "kernel/base/format.h"
#include "kernel/dev/char_device.h"

namespace terminal {

// Devices are never removed. At most 8; more are refused.
Result<void> add(CharDevice& device);

void write(std::string_view text);

// The next input byte or -1, at once. Thread context of the console.
int read();
// Waits (cooperatively: other threads run) for a byte until `deadline_ns`; -1 on timeout, and
// when the row of the edited line was lost.
int read_until(u64 deadline_ns);

// Ctrl-C since the last call? Looks ahead in the input without taking other bytes.
bool interrupted();

// A line nobody asked for (the log's). Where a person edits a line it takes that row over and
// row_lost() says so. Any context.
void announce(std::string_view line);
// A line is being edited in the cursor's row.
void own_row(bool on);
bool row_lost();  // since the last call: the edited line must be drawn again

// A device has input: wakes read_until. Any context of CPU 0, interrupts too.
void input_arrived();

u32 columns();  // of the narrowest device that knows; 80 otherwise

template <class... Args>
void print(std::string_view format, const Args&... args) {
  struct Out final : base::Writer {
    void write(std::string_view text) override { terminal::write(text); }
  } out;
  base::format_to(out, format, args...);
}

}  // namespace terminal
