// SPDX-License-Identifier: GPL-2.0-or-later
// vote, best and refine over a scripted engine.
#include "console/shell/shell.h"
#include "kernel/base/test.h"
#include "tests/hosted/console/console_script.h"
#include "tests/hosted/scripted_engine.h"

namespace {

std::string run(std::string_view line, u32& failed) {
  ScriptedRun done = run_commands(line);
  failed = done.failed;
  return done.text;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST(console_methods, vote_takes_the_commonest) {
  WithScriptedEngine fake;
  fake.engine->answers = {"It is 7.", "I think it is 12", "7", "so 7, surely"};
  u32 failed = 0;
  std::string text = run("vote 4 what is it?", failed);
  EXPECT_EQ(failed, 0u);
  EXPECT(contains(text, "  1  3 of 4 say '7'"));
  EXPECT(contains(text, "  2  1 of 4 say '12'"));
  EXPECT(contains(text, "It is 7.\n[cost: 4 answers"));
  REQUIRE(fake.engine->requests.size() == 4);
  EXPECT_EQ(fake.engine->requests[0].fork_of, 0u);
  EXPECT(fake.engine->requests[1].fork_of != 0u);
  EXPECT(fake.engine->requests[1].sampling.seed != fake.engine->requests[2].sampling.seed);
  EXPECT_EQ(fake.engine->prompts[0], std::string("User: what is it?\nAssistant:"));
}

TEST(console_methods, best_and_errors) {
  WithScriptedEngine fake;
  u32 failed = 0;
  EXPECT(contains(run("best 2 \"q\"", failed), "[cost: 2 answers"));
  EXPECT_EQ(failed, 0u);
  run("best 0 q; best 99 q; vote; refine x y", failed);
  EXPECT_EQ(failed, 4u);
  fake.engine->refuse = {Errc::kFull, "full"};
  run("vote 3 q", failed);
  EXPECT_EQ(failed, 1u);
}

TEST(console_methods, refine_stops_when_nothing_changes) {
  WithScriptedEngine fake;
  fake.engine->answers = {"first", "second", "second", "third"};
  u32 failed = 0;
  std::string text = run("refine 5 q", failed);
  EXPECT_EQ(failed, 0u);
  EXPECT(contains(text, "--- nothing changed ---"));
  EXPECT_EQ(fake.engine->prompts.size(), usize{3});
}
