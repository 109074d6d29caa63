// SPDX-License-Identifier: GPL-2.0-or-later
// stability finds what is planted: an answer that changes, and a page that is not given back.
#include "console/shell.h"
#include "kernel/base/test.h"
#include "tests/hosted/console_script.h"
#include "tests/hosted/scripted_engine.h"

namespace {

std::string run(std::string_view line, u32& failed) {
  ScriptedIo io;
  console::set_io(&io);
  console::Shell shell(io);
  failed = shell.run(line).failed;
  console::set_io(nullptr);
  return io.written;
}

}  // namespace

TEST(console_stability, passes_when_every_answer_is_the_same) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  u32 failed = 0;
  std::string text = run("stability 2000", failed);
  EXPECT_EQ(failed, 0u);
  EXPECT(text.ends_with("stability: PASSED\n"));
}

TEST(console_stability, names_an_answer_that_changed) {
  WithScriptedEngine fake;
  fake.engine->answers = std::vector<std::string>(20, std::string(100, 'x'));
  fake.engine->answers.push_back(std::string(100, 'y'));
  u32 failed = 0;
  std::string text = run("stability 2000", failed);
  EXPECT_EQ(failed, 1u);
  EXPECT(text.find("stability: FAULT answers changed") != std::string::npos);
}

TEST(console_stability, names_a_page_that_is_not_given_back) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  fake.engine->lost_pages = 1;
  u32 failed = 0;
  std::string text = run("stability 2000", failed);
  EXPECT(text.find("stability: FAULT memory was not given back") != std::string::npos);
}

TEST(console_stability, refuses_nonsense) {
  WithScriptedEngine fake;
  u32 failed = 0;
  run("stability soon; stability 0; stability 0h; stability -1s", failed);
  EXPECT_EQ(failed, 4u);
}
