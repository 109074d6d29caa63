// SPDX-License-Identifier: GPL-2.0-or-later
// The last step of the boot: runs what the boot options ask for, then the prompt.
#include <version.h>

#include "console/shell/shell.h"
#include "kernel/options.h"
#include "kernel/trace.h"
#include "kernel/trial.h"
#include "service/bundle/trust.h"

namespace console {
namespace {

constexpr Option kRun{"run", OptionKind::kText, "", "\"COMMAND; COMMAND\"",
                      "commands to run before the prompt; end with poweroff to leave"};
constexpr Option kCi{
    "ci", OptionKind::kFlag, "", "", "boots, prints the result and powers off", "zosia.ci"};
constexpr Option kDiag{"diag",      OptionKind::kFlag, "", "", "prints a report on the machine",
                       "zosia.diag"};
constexpr Option kSelftest{
    "selftest", OptionKind::kFlag, "", "", "checks the machine and powers off", "zosia.selftest"};
constexpr Option kPerf{
    "perf", OptionKind::kFlag, "", "", "measures the model's speed and powers off", "zosia.perf"};
constexpr Option kTalk{
    "talk", OptionKind::kFlag, "", "", "starts a conversation before the prompt", "zosia.talk"};
constexpr Option kStability{"stability", OptionKind::kText, "", "90s|10m|1h|3d|TOKENS",
                            "runs mixed work that long, checks every answer, powers off"};
KERNEL_OPTION(kStability);
KERNEL_OPTION(kRun);
KERNEL_OPTION(kCi);
KERNEL_OPTION(kDiag);
KERNEL_OPTION(kSelftest);
KERNEL_OPTION(kPerf);
KERNEL_OPTION(kTalk);

// A boot option that stands for commands. They run in this order.
struct Mode {
  const Option* option;
  const char* commands;
};
constexpr Mode kModes[] = {
    {&kDiag, "status; cpu; mem; models; dmesg"},
    {&kCi, "version; poweroff"},
    {&kSelftest, "selftest; poweroff"},
    {&kPerf, "perfline; poweroff"},
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
  static_cast<void>(service::bundle::trusted_keys());  // its log lines belong to the boot
  // On an installed disk a new kernel proves itself here; a good one tells what became of it.
  if (!trial::slot().empty()) shell.run("update prove");
  if (options::given(kRun)) run_and_report(shell, options::text(kRun));
  for (const Mode& mode : kModes)
    if (options::flag(*mode.option)) run_and_report(shell, mode.commands);
  if (options::flag(kTalk)) shell.run("talk");  // talks with a person, so it has no verdict
  if (options::given(kStability)) {
    char line[512];
    run_and_report(shell,
                   base::format_into(line, "stability {}; poweroff", options::text(kStability)));
  }
  io().write(kMarkPastes);
  for (;;) shell.prompt();
}

}  // namespace console
