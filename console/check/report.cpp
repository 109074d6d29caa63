// SPDX-License-Identifier: GPL-2.0-or-later
// The command `report`: what somebody who helps from afar wants to know of this machine.
//
// It is made to be given to strangers: no prompts, no answers, no keys. So the boot command line
// is not in it, nor any value of an option that is free text.
#include "console/check/report.h"

#include "console/shell/command.h"
#include "console/shell/file_writer.h"
#include "console/shell/shell.h"
#include "kernel/options.h"
#include "service/report.h"

namespace console {
namespace {

struct Part {
  std::string_view command, word;
  Takes takes = Takes::kNoTime;
};
// The log comes before the self-test, which fills it with what its tests provoke.
constexpr Part kParts[] = {
    {"version", ""},
    {"status", ""},
    {"cpu", ""},
    {"firmware", ""},
    {"lspci", ""},
    {"drivers", ""},
    {"lsblk", ""},
    {"mount", ""},
    {"lsusb", ""},
    {"lsnet", ""},
    {"ip", ""},
    {"mem", ""},
    {"threads", ""},
    {"interrupts", ""},
    {"keys", ""},
    {"trace", "boot"},
    {"dmesg", ""},
    {"models", "", Takes::kTime},
    {"update", "status", Takes::kTime},
    {"selftest", "", Takes::kTime},
};

void write_part(const Part& part, base::Writer& out) {
  const std::string_view words[] = {part.command, part.word};
  write_command(std::span(words).first(part.word.empty() ? 1 : 2), out);
}

constexpr service::Report kReport{[](base::Writer& out) { write_report(out, Takes::kNoTime); }};
SUPPORT_REPORT(kReport);

Result<void> run_report(const Arguments& arguments, base::Writer& out) {
  std::string_view path;
  Takes most = Takes::kTime;
  for (std::string_view word : arguments.words.subspan(1)) {
    if (word == "--quick")
      most = Takes::kNoTime;
    else if (path.empty() && !word.starts_with('-'))
      path = word;
    else
      return fail(Errc::kInvalidArgument, "report [--quick] [FILE]");
  }
  if (path.empty()) {
    write_report(out, most);
    return {};
  }
  auto file = TRY(fs::create(path));
  FileWriter writer(*file);
  write_report(writer, most);
  base::format_to(out, "{} bytes written to {}\n", TRY(writer.finish()), path);
  return {};
}

constexpr Command kCommand{
    "report", "report [--quick] [FILE]", "all about this machine, to send to who helps", run_report,
    "Version, options, CPU, firmware, devices, drivers, memory, threads, public keys, boot chart,\n"
    "log, models, updates, self-test. No prompts and no secret keys; network addresses are in it. "
    "FILE: on a disk that can be\n"
    "written, as /disk/vda/report.txt. --quick leaves out models and self-test, as GET /report "
    "does."};
CONSOLE_COMMAND(kCommand);

}  // namespace

void write_command(std::span<const std::string_view> words, base::Writer& out) {
  const Command* command = find_command(words[0]);
  if (command == nullptr) return;
  out.write("\n##");
  for (std::string_view word : words) base::format_to(out, " {}", word);
  out.write("\n");
  Arguments arguments{words, words.size() > 1 ? words[1] : std::string_view()};
  Result<void> done = command->run(arguments, out);
  if (!done.has_value()) base::format_to(out, "{}: {}\n", words[0], done.error());
}

void write_report(base::Writer& out, Takes most) {
  out.write("# Marrow report: no prompts, no keys; network addresses are in it\n");
  out.write("\n## options given\n");
  options::list_given(out);
  for (const Part& part : kParts)
    if (part.takes <= most) write_part(part, out);
  out.write("\n# end of the report\n");
}

}  // namespace console
