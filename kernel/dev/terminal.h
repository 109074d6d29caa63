// SPDX-License-Identifier: GPL-2.0-or-later
// The console: all CharDevices at once. Output goes to all of them, input is merged from all.
#pragma once

#include "kernel/base/format.h"
#include "kernel/dev/char_device.h"

namespace terminal {

// Adds a device, which is never removed. At most 8; more are refused.
Result<void> add(CharDevice& device);

void write(std::string_view text);

// Returns the next input byte, or -1 if there is none. For the console's thread.
int read();
// Sleeps until a byte comes or `deadline_ns` is reached; other threads run meanwhile. Returns -1 on
// a timeout, and when the row of the edited line was lost.
int read_until(u64 deadline_ns);

// Returns true if Ctrl-C came since the last call. Reads ahead in the input without losing other
// bytes.
bool interrupted();

// Writes a line that nobody asked for, such as the log's. If a person edits a line, it takes that
// row, and row_lost() then returns true. Any context.
void announce(std::string_view line);
// Tells that a line is being edited in the cursor's row.
void own_row(bool on);
bool row_lost();  // since the last call; the edited line must then be drawn again

// Called when a device has input; wakes read_until(). Any context of CPU 0, including interrupt
// handlers.
void input_arrived();

u32 columns();  // of the narrowest device that knows its width; otherwise 80

template <class... Args>
void print(std::string_view format, const Args&... args) {
  struct Out final : base::Writer {
    void write(std::string_view text) override { terminal::write(text); }
  } out;
  base::format_to(out, format, args...);
}

}  // namespace terminal
