// SPDX-License-Identifier: GPL-2.0-or-later
// The shell of the panic screen: one line at a time, and only commands that need nothing but the
// CPU.
#include "console/shell/shell.h"
#include "kernel/panic.h"

namespace console {
namespace {

constexpr usize kLineBytes = 128;

// Reads printable characters and backspace. There is no history and no completion, because those
// allocate.
std::string_view read_plain_line(PanicConsole& console, std::span<char, kLineBytes> line) {
  constexpr int kBackspace = 8, kDelete = 127;
  usize size = 0;
  for (;;) {
    int byte = console.read();
    if (byte == '\r' || byte == '\n') break;
    if ((byte == kBackspace || byte == kDelete) && size > 0) {
      size--;
      console.write("\b \b");
    } else if (byte >= ' ' && byte < kDelete && size < line.size()) {
      line[size++] = static_cast<char>(byte);
      console.write({&line[size - 1], 1});
    }
  }
  console.write("\n");
  return {line.data(), size};
}

void run_panic_shell(PanicConsole& console) {
  static constinit char line[kLineBytes] = {};
  console.write("commands that work here:");
  for (const Command* row = next_command(nullptr); row != nullptr; row = next_command(row))
    if (row->panic_safe) base::format_to(console, " {}", row->name);
  console.write("\n");
  for (;;) {
    console.write("panic> ");
    std::string_view text = read_plain_line(console, line);
    if (!text.empty()) run_panic_safe(text, console);
  }
}

constexpr PanicShell kShell{run_panic_shell};
PANIC_SHELL(kShell);

}  // namespace
}  // namespace console
