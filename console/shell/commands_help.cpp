// SPDX-License-Identifier: GPL-2.0-or-later
// `help`: lists commands by topic, one command's text, and the boot options.
#include <algorithm>

#include "console/shell/shell.h"
#include "kernel/base/nearest.h"
#include "kernel/options.h"

namespace console {
namespace {

// A topic's name is never a command's name. Commands without a topic are listed under "other".
struct Topic {
  std::string_view name;
  std::string_view commands;
};
constexpr Topic kTopics[] = {
    {"answers", "talk chat llm gen vote best refine template"},
    {"language", "models model bundle keys receipt tokenize detokenize logits embed perplexity"},
    {"speed", "perf bench benchload perfline trace"},
    {"health", "status report support selftest stability test dmesg bt registers fault"},
    {"machine", "cpu mem threads interrupts drivers lspci lsusb version reboot poweroff"},
    {"disks", "ls cat cp rm mkdir mount df lsblk disk format ramdisk install update"},
    {"network", "serve ip net ping ss lsnet nic"},
    {"console", "help history clear echo"},
};
constexpr std::string_view kOther = "other";

std::string_view take_word(std::string_view& words) {
  usize space = std::min(words.find(' '), words.size());
  std::string_view word = words.substr(0, space);
  words.remove_prefix(std::min(space + 1, words.size()));
  return word;
}

bool has_command(const Topic& topic, std::string_view name) {
  for (std::string_view words = topic.commands; !words.empty();)
    if (take_word(words) == name) return true;
  return false;
}

bool in_no_topic(std::string_view name) {
  return std::ranges::none_of(kTopics, [&](const Topic& t) { return has_command(t, name); });
}

void list_row(const Command& row, base::Writer& out) {
  base::format_to(out, "  {:<12} {}\n", row.name, row.summary);
}

// `name` is "", a topic's name, kOther, or "all".
bool list_topic(std::string_view name, base::Writer& out) {
  for (const Topic& topic : kTopics) {
    if (topic.name != name) continue;
    for (std::string_view words = topic.commands; !words.empty();)
      if (const Command* row = find_command(take_word(words)); row != nullptr) list_row(*row, out);
    return true;
  }
  if (name != kOther && name != "all") return false;
  for (const Command* row = next_command(nullptr); row != nullptr; row = next_command(row))
    if (name == "all" || in_no_topic(row->name)) list_row(*row, out);
  return true;
}

void list_topics(base::Writer& out) {
  out.write(
      "To begin: talk (a conversation), models (what there is to talk with), status, perf.\n\n");
  for (const Topic& topic : kTopics)
    base::format_to(out, "  {:<10} {}\n", topic.name, topic.commands);
  bool first = true;
  for (const Command* row = next_command(nullptr); row != nullptr; row = next_command(row)) {
    if (!in_no_topic(row->name)) continue;
    first ? base::format_to(out, "  {:<10} {}", kOther, row->name)
          : base::format_to(out, " {}", row->name);
    first = false;
  }
  out.write(first ? "" : "\n");
  out.write(
      "\nhelp speed tells a line of each command of that topic, help all of every one.\n"
      "help COMMAND tells all about one; help boot lists the boot options.\n"
      "Tab completes, Ctrl-R searches what was typed before, Ctrl-C stops a command,\n"
      "PgUp and PgDn with Shift scroll the screen. Commands are separated by ';'.\n");
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
    if (list_topic(name, out)) return {};
    base::Nearest nearest(name);
    for (const Command* other : console_commands_rows()) nearest.consider(other->name);
    for (const Topic& topic : kTopics) nearest.consider(topic.name);
    if (!nearest.best().empty()) base::format_to(out, "did you mean '{}'?\n", nearest.best());
    return fail(Errc::kNotFound, "there is no such command or topic");
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
    markdown ? list_commands_markdown(out) : list_topics(out);
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
  add(context, "all");
  for (const Topic& topic : kTopics) add(context, topic.name);
  for (const Command* row : console_commands_rows()) add(context, row->name);
}

constexpr Command kHelp{"help",
                        "help [COMMAND|TOPIC|all|boot] [--markdown]",
                        "lists the commands, explains one",
                        run_help,
                        "--markdown prints the whole table as a wiki page.",
                        true,
                        complete_help};
CONSOLE_COMMAND(kHelp);

}  // namespace
}  // namespace console
