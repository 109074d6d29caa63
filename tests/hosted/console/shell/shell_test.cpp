// SPDX-License-Identifier: GPL-2.0-or-later
// The shell: splitting lines, running commands, and its messages when something is wrong.
#include "console/shell/shell.h"

#include <algorithm>
#include <string>
#include <vector>

#include "console/shell/command_line.h"
#include "kernel/base/test.h"
#include "tests/hosted/console/console_script.h"

namespace {

std::vector<std::string> seen;

Result<void> run_record(const console::Arguments& arguments, base::Writer&) {
  std::string line;
  for (std::string_view word : arguments.words) line += "[" + std::string(word) + "]";
  seen.push_back(line + " raw=" + std::string(arguments.raw));
  return {};
}
Result<void> run_refuse(const console::Arguments&, base::Writer&) {
  return fail(Errc::kIo, "it never works");
}
void complete_record(std::string_view, void (*add)(void*, std::string_view), void* context) {
  add(context, "alpha");
  add(context, "beta");
}
constexpr console::Command kRecord{"x_record", "x_record", "for tests",    run_record,
                                   "",         true,       complete_record};
constexpr console::Command kRefuse{"x_refuse", "x_refuse", "for tests", run_refuse};
CONSOLE_COMMAND(kRecord);
CONSOLE_COMMAND(kRefuse);

// Each command's words in brackets, commands separated by '/'.
std::string split(std::string_view line) {
  std::string room(line.size() + 1, 0), out;
  console::CommandReader reader(line, {room.data(), room.size()});
  while (reader.next_command()) {
    if (!out.empty()) out += "/";
    for (;;) {
      Result<console::Word> word = reader.next_word();
      if (!word.has_value()) {
        if (word.error().code != Errc::kNotFound) out += "!";
        break;
      }
      out += "[" + std::string(word->text) + "]";
    }
  }
  return out;
}

std::string output_of(std::string_view line) {
  ScriptedIo io;
  console::Shell shell(io);
  shell.run(line);
  return io.written;
}

}  // namespace

TEST(console_shell, splits_lines) {
  EXPECT_EQ(split("a b  c"), std::string("[a][b][c]"));
  EXPECT_EQ(split(" ;; a;b ;\n c"), std::string("[a]/[b]/[c]"));
  EXPECT_EQ(split("say \"a; b\" 'c; d' e\\ f"), std::string("[say][a; b][c; d][e f]"));
  EXPECT_EQ(split("echo don't; k=\"x y\""), std::string("[echo][don't]/[k=x y]"));
  EXPECT_EQ(split("a \"b\\\"c\\\\\" \\n"), std::string("[a][b\"c\\][\\n]"));
  EXPECT_EQ(split("a \"\" ''"), std::string("[a][][]"));
  EXPECT_EQ(split("a \"open; b"), std::string("[a]!"));
  EXPECT_EQ(split("a 'open; b"), std::string("[a]!"));
  EXPECT_EQ(split("end\\"), std::string("[end\\]"));
}

TEST(console_shell, runs_sequences_and_keeps_raw_text) {
  seen.clear();
  ScriptedIo io;
  console::Shell shell(io);
  console::Verdict verdict = shell.run("x_record a 'b c'  ; X_RECORD; /x_record z");
  EXPECT_EQ(verdict.commands, 3u);
  EXPECT_EQ(verdict.failed, 0u);
  REQUIRE(seen.size() == 3);
  EXPECT_EQ(seen[0], std::string("[x_record][a][b c] raw=a 'b c'"));
  EXPECT_EQ(seen[2], std::string("[/x_record][z] raw=z"));
}

TEST(console_shell, a_failure_does_not_stop_the_sequence) {
  seen.clear();
  ScriptedIo io;
  console::Shell shell(io);
  console::Verdict verdict = shell.run("x_refuse; nonsense; x_record");
  EXPECT_EQ(verdict.commands, 3u);
  EXPECT_EQ(verdict.failed, 2u);
  EXPECT_EQ(seen.size(), usize{1});
  EXPECT(io.written.find("x_refuse: it never works") != std::string::npos);
}

TEST(console_shell, wrong_words_are_answered_with_the_usage) {
  EXPECT_EQ(output_of("chat"), std::string("usage: chat TEXT\n"));
  std::string seen = output_of("poweroff soon");
  EXPECT(seen.find("\nusage: poweroff [CODE]\n") != std::string::npos);
}

TEST(console_shell, suggests_what_was_meant) {
  EXPECT(output_of("hlep").find("did you mean 'help'?") != std::string::npos);
  EXPECT(output_of("powerof").find("did you mean 'poweroff'?") != std::string::npos);
  EXPECT(output_of("qqqqqqqq").find("type help") != std::string::npos);
  EXPECT(output_of("help verion").find("did you mean 'version'?") != std::string::npos);
  EXPECT(output_of("echo \"x").find("quote is not closed") != std::string::npos);
}

TEST(console_shell, help_lists_commands_and_options) {
  std::string all = output_of("help all");
  EXPECT(all.find("  echo         prints its words") != std::string::npos);
  EXPECT(all.find("  echo") < all.find("  help"));
  EXPECT(output_of("help echo").starts_with("echo [TEXT]\n"));
  // Every command has a topic or is under "other", once; the whole fits a screen of 24 rows.
  std::string topics = output_of("help");
  EXPECT(topics.find("answers    talk chat") != std::string::npos);
  if (topics.find("other      x_record x_refuse\n") == std::string::npos)
    test.report(__FILE__, __LINE__,
                "a command has no topic; name it in kTopics (commands_help.cpp): " + topics);
  EXPECT(std::count(topics.begin(), topics.end(), '\n') < 22);
  EXPECT(
      output_of("help console").starts_with("  help         lists the commands, explains one\n"));
  EXPECT(output_of("help anwsers").find("did you mean 'answers'?") != std::string::npos);
  EXPECT(output_of("help boot").find("run=") != std::string::npos);
  EXPECT(output_of("help boot --markdown").starts_with("| Option |"));
  EXPECT(output_of("version").starts_with("Marrow "));
}

TEST(console_shell, prompt_reads_runs_and_remembers) {
  ScriptedIo io("echo one; echo two\r\x1b[A\r\x04");
  console::Shell shell(io);
  EXPECT(shell.prompt());
  EXPECT(shell.prompt());
  EXPECT(!shell.prompt());
  EXPECT(io.written.find("marrow> echo one; echo two\none\ntwo\nmarrow> ") != std::string::npos);
  EXPECT_EQ(shell.history().size(), usize{1});
}

TEST(console_shell, completes_commands_and_arguments) {
  seen.clear();
  ScriptedIo io("echo hi; x_rec\tal\t\r");
  console::Shell shell(io);
  EXPECT(shell.prompt());
  REQUIRE(seen.size() == 1);
  EXPECT_EQ(seen[0], std::string("[x_record][alpha] raw=alpha"));
}

TEST(console_shell, panic_shell_runs_only_what_is_safe) {
  seen.clear();
  String text;
  base::StringWriter out(text);
  EXPECT(console::run_panic_safe("x_record 'a b' c", out));
  REQUIRE(seen.size() == 1);
  EXPECT_EQ(seen[0], std::string("[x_record][a b][c] raw='a b' c"));
  EXPECT(!console::run_panic_safe("x_refuse", out));
  EXPECT(text.view().find("cannot run here; these can:") != std::string_view::npos);
  EXPECT(!console::run_panic_safe("", out));
  EXPECT(!console::run_panic_safe("hlep", out));
}

TEST(console_shell, poweroff_refuses_nonsense) {
  EXPECT(output_of("poweroff soon").find("a number from 0 to 99") != std::string::npos);
}
