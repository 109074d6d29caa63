// SPDX-License-Identifier: GPL-2.0-or-later
// The shell: reads a line, runs its commands, says what went wrong and what may have been meant.
#pragma once

#include "console/shell/command.h"
#include "console/terminal/io.h"
#include "console/terminal/line_editor.h"

namespace console {

constexpr std::string_view kPrompt = "marrow> ";
// Pasted text comes marked as such, so that its line ends are no Enter.
constexpr std::string_view kMarkPastes = "\x1b[?2004h";

// The row of that name (case matters not; a leading '/' is forgiven: /poweroff), or null.
const Command* find_command(std::string_view name);
// The row that follows `last` by name (null: the first), null at the end.
const Command* next_command(const Command* last);

// Reads one line with editing, history and completion. kCancelled: Ctrl-C; kNotFound: Ctrl-D.
// The text is valid until the next call with the same editor.
Result<std::string_view> read_line(Io& io, LineEditor& editor, std::string_view prompt);

// What became of a sequence.
struct Verdict {
  u32 commands = 0;
  u32 failed = 0;
};

class Shell final : public Completer {
 public:
  explicit Shell(Io& io) : io_(io), editor_(io, history_) { editor_.set_completer(this); }

  // Runs `COMMAND; COMMAND`, each whether or not the one before it failed.
  Verdict run(std::string_view sequence);
  // One prompt and what is typed at it; false when there is no more input (tests).
  bool prompt();

  void complete(std::string_view before, Candidates& out) override;
  History& history() { return history_; }

 private:
  Result<void> run_command(const Arguments& arguments);

  Io& io_;
  History history_;
  LineEditor editor_;
};

// The sequence that is running: `poweroff` turns it into the machine's last word.
const Verdict& current_verdict();
// The shell's history, for `history`; null outside a shell.
History* current_history();

// One command on the panic screen: only rows marked panic_safe, no allocation, no locks, no
// thread. False: there is no such command or it may not run there (`out` says which).
bool run_panic_safe(std::string_view line, base::Writer& out);

// The last step of the boot: does what the boot options ask for, then serves the person.
[[noreturn]] void run();

}  // namespace console
