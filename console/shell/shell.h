// SPDX-License-Identifier: GPL-2.0-or-later
// The shell: reads a line, runs its commands, and reports errors with a suggestion.
#pragma once

#include "console/shell/command.h"
#include "console/terminal/io.h"
#include "console/terminal/line_editor.h"

namespace console {

constexpr std::string_view kPrompt = "marrow> ";
// Makes the terminal mark pasted text, so that its line ends do not count as Enter.
constexpr std::string_view kMarkPastes = "\x1b[?2004h";

// Returns the command of that name, or null. Case and a leading '/' (as in /poweroff) are ignored.
const Command* find_command(std::string_view name);
// Returns the command that follows `last` by name (null: the first), or null at the end.
const Command* next_command(const Command* last);

// Reads one line with editing, history and completion. kCancelled: Ctrl-C; kNotFound: Ctrl-D. The
// text is valid until the next call with the same editor.
Result<std::string_view> read_line(Io& io, LineEditor& editor, std::string_view prompt);

// The result of a sequence of commands.
struct Verdict {
  u32 commands = 0;
  u32 failed = 0;
};

class Shell final : public Completer {
 public:
  explicit Shell(Io& io) : io_(io), editor_(io, history_) { editor_.set_completer(this); }

  // Runs `COMMAND; COMMAND`. A failed command does not stop the ones after it.
  Verdict run(std::string_view sequence);
  // Shows one prompt and runs what is typed. Returns false if there is no more input (tests).
  bool prompt();

  void complete(std::string_view before, Candidates& out) override;
  History& history() { return history_; }

 private:
  Result<void> run_command(const Arguments& arguments);

  Io& io_;
  History history_;
  LineEditor editor_;
};

// Returns the verdict of the running sequence, which `poweroff` turns into the exit status.
const Verdict& current_verdict();
// Returns the shell's history for `history`, or null outside a shell.
History* current_history();

// Runs one command on the panic screen: only rows marked panic_safe, without allocation, locks or
// threads. Returns false if there is no such command or it may not run there; `out` says which.
bool run_panic_safe(std::string_view line, base::Writer& out);

// The last step of the boot: does what the boot options ask for, then serves the person for ever.
[[noreturn]] void run();

}  // namespace console
