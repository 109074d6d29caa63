// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about the console itself: version, clear, history, echo, test, reboot, poweroff.
#include <version.h>

#include <algorithm>

#include "console/shell/shell.h"
#include "kernel/arch_contract.h"
#include "kernel/base/test.h"
#include "kernel/base/text_width.h"
#include "service/farewell.h"

namespace console {
namespace {

Result<void> run_version(const Arguments&, base::Writer& out) {
  base::format_to(out, "Marrow {} ({})\n", kMarrowVersion, kMarrowCommit);
  return {};
}

Result<void> run_clear(const Arguments&, base::Writer& out) {
  out.write("\x1b[H\x1b[2J\x1b[3J");
  return {};
}

Result<void> run_history(const Arguments&, base::Writer& out) {
  History* history = current_history();
  if (history == nullptr) return fail(Errc::kUnsupported, "there is no history here");
  for (usize i = 0; i < history->size(); i++) {
    std::string_view line = history->line(i);
    bool cut = line.size() > 400;
    base::format_to(out, "{:>5}  {}{}\n", i + 1, line.substr(0, cut ? 400 : line.size()),
                    cut ? " …" : "");
  }
  return {};
}

Result<void> run_echo(const Arguments& arguments, base::Writer& out) {
  for (usize i = 1; i < arguments.words.size(); i++) {
    if (i > 1) out.write(" ");
    out.write(arguments.words[i]);
  }
  out.write("\n");
  return {};
}

// Runs the in-kernel or hosted tests. Scripts look for the closing line.
Result<void> run_test(const Arguments& arguments, base::Writer& out) {
  TestTotals totals = run_tests(out, arguments.words.size() > 1 ? arguments.words[1] : "");
  if (totals.skipped > 0) base::format_to(out, "# {} skipped\n", totals.skipped);
  base::format_to(out, "{} passed, {} failed\n", totals.passed, totals.failed);
  if (totals.failed > 0) return fail(Errc::kCorrupt, "some tests failed");
  if (totals.passed == 0) return fail(Errc::kNotFound, "no test ran");
  return {};
}

void complete_test(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (const TestCase* row : marrow_tests_rows()) add(context, row->suite);
}

Result<void> run_reboot(const Arguments&, base::Writer& out) {
  out.write("rebooting\n");
  service::finish_keeping();
  arch::Cpu::reboot();
  return fail(Errc::kUnsupported, "this machine does not restart itself: use its button");
}

Result<void> run_poweroff(const Arguments& arguments, base::Writer& out) {
  const Verdict& verdict = current_verdict();
  u32 code = verdict.failed > 0 ? 1 : 0;
  if (arguments.words.size() > 1) {
    std::string_view word = arguments.words[1];
    bool digits = !word.empty() && word.size() <= 2 &&
                  std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return fail(Errc::kInvalidArgument, "the code must be a number from 0 to 99");
    code = 0;
    for (char c : word) code = code * 10 + static_cast<u32>(c - '0');
  }
  if (verdict.failed > 0) {
    base::format_to(out, "failure, {} of {} commands failed (code {}): switching off\n",
                    verdict.failed, verdict.commands - 1, code);
  } else {
    base::format_to(out, "{} (code {}): switching off\n", code == 0 ? "success" : "failure", code);
  }
  service::finish_keeping();
  arch::Cpu::power_off(code);
  return fail(Errc::kUnsupported, "this machine does not switch itself off: use its button");
}

constexpr Command kVersion{"version",   "version", "version and commit of this kernel",
                           run_version, "",        true};
constexpr Command kClear{"clear", "clear", "clears the screen", run_clear, "", true};
constexpr Command kHistory{"history", "history", "lists earlier lines", run_history,
                           "Lines that begin with a space are not kept."};
constexpr Command kEcho{"echo", "echo [TEXT]", "prints its words", run_echo, "", true};
constexpr Command kTest{
    "test",
    "test [FILTER]",
    "runs the built-in tests and prints TAP",
    run_test,
    "FILTER is a part of SUITE.NAME; -PART behind it leaves out suites that begin with PART.\n"
    "The last line is 'N passed, N failed'.",
    false,
    complete_test};
constexpr Command kReboot{"reboot", "reboot", "restarts the machine", run_reboot, "", true};
constexpr Command kPoweroff{
    "poweroff",
    "poweroff [CODE]",
    "turns the machine off",
    run_poweroff,
    "Under QEMU and in the hosted twin CODE becomes the exit status. Without it the status says\n"
    "whether a command before it on the same line failed.",
    true};
CONSOLE_COMMAND(kVersion);
CONSOLE_COMMAND(kClear);
CONSOLE_COMMAND(kHistory);
CONSOLE_COMMAND(kEcho);
CONSOLE_COMMAND(kTest);
CONSOLE_COMMAND(kReboot);
CONSOLE_COMMAND(kPoweroff);

}  // namespace
}  // namespace console
