// SPDX-License-Identifier: GPL-2.0-or-later
// The last step of the boot: what the boot options ask for, then the prompt.
#include <version.h>

#include "console/shell.h"
#include "kernel/options.h"
#include "kernel/trace.h"

namespace console {
namespace {

constexpr Option kRun{"run", OptionKind::kText, "", "\"COMMAND; COMMAND\"",
                      "commands to run before the prompt; end with poweroff to leave"};
KERNEL_OPTION(kRun);

// A boot option that stands for commands. Later rows run after earlier ones.
struct Mode {
  const Option* option;
  const char* commands;
};

constexpr Option kCi{"ci", OptionKind::kFlag, "", "", "boots, says so and powers off", "zosia.ci"};
KERNEL_OPTION(kCi);
constexpr Mode kModes[] = {
    {&kCi, "version; poweroff"},
};

void run_and_report(Shell& shell, std::string_view commands) {
  Verdict verdict = shell.run(commands);
  if (verdict.failed == 0) {
    base::format_to(io(), "run: {} commands, all succeeded\n", verdict.commands);
  } else {
    base::format_to(io(), "run: {} of {} commands failed\n", verdict.failed, verdict.commands);
  }
}

}  // namespace

void run() {
  static Shell shell(io());
  trace::boot_mark("prompt");
  base::format_to(io(), "Marrow {} - type help\n", kMarrowVersion);
  if (options::given(kRun)) run_and_report(shell, options::text(kRun));
  for (const Mode& mode : kModes)
    if (options::flag(*mode.option)) run_and_report(shell, mode.commands);
  // Pasted text comes marked as such, so that its line ends do not run commands.
  io().write("\x1b[?2004h");
  for (;;) shell.prompt();
}

}  // namespace console
