// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about the console itself: help, version, clear, history, echo, test, reboot,
// poweroff.
#include <version.h>

#include <algorithm>

#include "console/shell.h"
#include "kernel/arch_contract.h"
#include "kernel/base/nearest.h"
#include "kernel/base/test.h"
#include "kernel/base/text_width.h"
#include "kernel/options.h"

namespace console {
namespace {

void list_commands(base::Writer& out) {
  for (const Command* row = next_command(nullptr); row != nullptr; row = next_command(row))
    base::format_to(out, "  {:<12} {}\n", row->name, row->summary);
  out.write(
      "\nhelp COMMAND tells more; help boot lists the boot options.\n"
      "Tab completes, Ctrl-R searches what was typed before, Ctrl-C stops a command.\n");
}

void list_commands_markdown(base::Writer& out) {
  for (const Command* row = next_command(nullptr); row != nullptr; row = next_command(row)) {
    base::format_to(out, "### `{}`\n\n{}\n\n", row->usage, row->summary);
    if (row->details[0] != 0) base::format_to(out, "```\n{}\n```\n\n", row->details);
  }
}

Result<void> help_command(std::string_view name, base::Writer& out) {
  const Command* row = find_command(name);
  if (row == nullptr) {
    base::Nearest nearest(name);
    for (const Command* other : console_commands_rows()) nearest.consider(other->name);
    if (!nearest.best().empty()) base::format_to(out, "did you mean '{}'?\n", nearest.best());
    return fail(Errc::kNotFound, "there is no such command");
  }
  base::format_to(out, "{}\n  {}\n", row->usage, row->summary);
  if (row->details[0] != 0) base::format_to(out, "\n{}\n", row->details);
  return {};
}

Result<void> run_help(const Arguments& arguments, base::Writer& out) {
  bool markdown = arguments.words.back() == "--markdown";
  std::span<const std::string_view> topics =
      arguments.words.subspan(1, arguments.words.size() - 1 - (markdown ? 1 : 0));
  if (topics.empty()) {
    markdown ? list_commands_markdown(out) : list_commands(out);
    return {};
  }
  if (topics[0] == "boot") {
    if (!markdown)
      out.write(
          "Options of the boot command line (key=value, \"quoted values\") and of /marrow.cfg:\n");
    markdown ? options::list_markdown(out) : options::list(out);
    return {};
  }
  return help_command(topics[0], out);
}

void complete_help(std::string_view, void (*add)(void*, std::string_view), void* context) {
  add(context, "boot");
  for (const Command* row : console_commands_rows()) add(context, row->name);
}

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

// In-kernel and hosted tests alike; the closing line is the one that scripts look for.
Result<void> run_test(const Arguments& arguments, base::Writer& out) {
  TestTotals totals = run_tests(out, arguments.words.size() > 1 ? arguments.words[1] : "");
  if (totals.skipped > 0) base::format_to(out, "# {} skipped\n", totals.skipped);
  base::format_to(out, "{} passed, {} failed\n", totals.passed, totals.failed);
  if (totals.failed > 0) return fail(Errc::kCorrupt, "there are failures");
  if (totals.passed == 0) return fail(Errc::kNotFound, "no test ran");
  return {};
}

void complete_test(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (const TestCase* row : marrow_tests_rows()) add(context, row->suite);
}

Result<void> run_reboot(const Arguments&, base::Writer& out) {
  out.write("rebooting\n");
  arch::Cpu::reboot();
  return fail(Errc::kUnsupported, "this machine has no way to reboot that works");
}

Result<void> run_poweroff(const Arguments& arguments, base::Writer& out) {
  const Verdict& verdict = current_verdict();
  u32 code = verdict.failed > 0 ? 1 : 0;
  if (arguments.words.size() > 1) {
    std::string_view word = arguments.words[1];
    bool digits = !word.empty() && word.size() <= 2 &&
                  std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return fail(Errc::kInvalidArgument, "the code is a number from 0 to 99");
    code = 0;
    for (char c : word) code = code * 10 + static_cast<u32>(c - '0');
  }
  if (verdict.failed > 0) {
    base::format_to(out, "power off: failure, {} of {} commands failed (code {})\n", verdict.failed,
                    verdict.commands - 1, code);
  } else {
    base::format_to(out, "power off: {} (code {})\n", code == 0 ? "success" : "failure", code);
  }
  arch::Cpu::power_off(code);
  return fail(Errc::kUnsupported, "this machine has no way to power off that works");
}

constexpr Command kHelp{"help",
                        "help [COMMAND|boot] [--markdown]",
                        "what there is to type",
                        run_help,
                        "--markdown prints the same table as a wiki page.",
                        true,
                        complete_help};
constexpr Command kVersion{"version",   "version", "version and commit of this kernel",
                           run_version, "",        true};
constexpr Command kClear{"clear", "clear", "clears the screen", run_clear, "", true};
constexpr Command kHistory{"history", "history", "the lines typed before", run_history,
                           "Lines that begin with a space are not kept."};
constexpr Command kEcho{"echo", "echo [TEXT]", "prints its words", run_echo, "", true};
constexpr Command kTest{"test",
                        "test [FILTER]",
                        "runs the built-in tests and prints TAP",
                        run_test,
                        "FILTER is a part of SUITE.NAME. The last line is 'N passed, N failed'.",
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
CONSOLE_COMMAND(kHelp);
CONSOLE_COMMAND(kVersion);
CONSOLE_COMMAND(kClear);
CONSOLE_COMMAND(kHistory);
CONSOLE_COMMAND(kEcho);
CONSOLE_COMMAND(kTest);
CONSOLE_COMMAND(kReboot);
CONSOLE_COMMAND(kPoweroff);

}  // namespace
}  // namespace console
