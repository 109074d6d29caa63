// SPDX-License-Identifier: GPL-2.0-or-later
// stability finds what is planted and names it: a changed answer, a flipped bit of a weight, a page
// that is not given back, a stalled worker, answers that become slower.
#include <algorithm>

#include "kernel/base/test.h"
#include "kernel/sched/worker_pool.h"
#include "tests/hosted/console/console_script.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/scripted_engine.h"

namespace {

// The names of the faults that a run has found, in its order.
std::string all_faults(const ScriptedRun& run) {
  constexpr std::string_view kMark = "stability: FAULT ";
  std::string names;
  for (usize at = 0; (at = run.text.find(kMark, at)) != std::string::npos;) {
    at += kMark.size();
    names += run.text.substr(at, run.text.find(':', at) - at) + " ";
  }
  return names;
}

// Those that other programs of the host cannot cause. They may slow a run down until its end, which
// is drift: the suite timed_stability judges that.
std::string faults(const ScriptedRun& run) {
  std::string names = all_faults(run);
  if (usize at = names.find("drift "); at != std::string::npos) names.erase(at, 6);
  return names;
}

// A verdict without a fault, or with drift alone.
bool passes(const ScriptedRun& run) {
  bool slowed = all_faults(run) == "drift " && run.says("stability: FAILED\n");
  return slowed || (run.failed == 0 && run.text.ends_with("stability: PASSED\n"));
}

}  // namespace

TEST(console_stability, passes_when_every_answer_is_the_same) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  ScriptedRun done = run_commands("stability 2000");
  if (!passes(done)) test.report(__FILE__, __LINE__, done.text);
}

TEST(console_stability, a_run_too_short_to_judge_does_not_pass) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  ScriptedRun done = run_commands("stability 200");
  EXPECT_EQ(done.failed, 1u);
  EXPECT_EQ(faults(done), "");
  EXPECT(done.says("stability: TOO SHORT to tell\n"));
  EXPECT(done.says("stability: memory is judged after 33 rounds and speed after 600 tokens"));
  usize at = done.text.find(": about ");
  REQUIRE(at != std::string::npos);
  // A run of the suggested length is enough.
  ScriptedRun longer =
      run_commands("stability " + std::to_string(std::stoul(done.text.substr(at + 8))));
  if (!passes(longer)) test.report(__FILE__, __LINE__, longer.text);
}

TEST(console_stability, a_planted_fault_that_is_not_found_is_a_failure) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  ScriptedRun done = run_commands("stability 200 --plant drift");
  EXPECT_EQ(done.failed, 1u);
  EXPECT_EQ(faults(done), "plant ");
  EXPECT(done.says("drift was planted and not found in "));
  EXPECT(done.says("stability: FAILED\n"));
}

TEST(console_stability, names_an_answer_that_changed) {
  WithScriptedEngine fake;
  fake.engine->answers = std::vector<std::string>(20, std::string(100, 'x'));
  fake.engine->answers.push_back(std::string(100, 'y'));
  ScriptedRun done = run_commands("stability 2000");
  EXPECT_EQ(done.failed, 1u);
  EXPECT_EQ(faults(done), "answers ");
  EXPECT(done.says("though the weights did not"));
}

TEST(console_stability, names_a_page_of_the_cache_that_is_not_given_back) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  fake.engine->lost_pages = 1;
  ScriptedRun done = run_commands("stability 2000");
  EXPECT_EQ(faults(done), "memory ");
  EXPECT(done.says("KV pages in use after round 1"));
}

TEST(console_stability, finds_each_planted_fault_and_nothing_else) {
  TinyModelFile tiny;
  if (!tiny.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(tiny.load().has_value());
  EXPECT_EQ(faults(run_commands("stability 3000")), "");
  ScriptedRun bit = run_commands("stability 3000 --plant bit");
  EXPECT_EQ(faults(bit), "weights answers ");
  EXPECT(bit.says("they changed with the weights"));
  ScriptedRun page = run_commands("stability 3000 --plant page");
  EXPECT_EQ(faults(page), "memory ");
  EXPECT(page.says("memory: not given back: 4096 bytes of other after round"));
  // All of it is whole again.
  EXPECT_EQ(faults(run_commands("stability 2000")), "");
}

TEST(timed_stability, finds_planted_drift_and_no_other) {
  TinyModelFile tiny;
  if (!tiny.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(tiny.load().has_value());
  EXPECT_EQ(all_faults(run_commands("stability 6000 --plant drift")), "drift ");
  EXPECT_EQ(all_faults(run_commands("stability 6000")), "");
}

TEST(console_stability, a_stall_needs_somebody_to_wait_for) {
  TinyModelFile tiny;
  if (!tiny.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(tiny.load().has_value());
  if (sched::worker_count() == 1) {
    EXPECT(run_commands("stability 1000 --plant stall").says("at least two threads"));
  } else {
    EXPECT_EQ(faults(run_commands("stability 1000 --plant stall")), "stall ");
  }
}

TEST(console_stability, switches_between_models_and_goes_on_after_a_restart) {
  TinyModelFile one("one.gguf"), two("two.gguf", 1);
  if (!one.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(one.load().has_value());
  ScriptedRun done = run_commands("stability 4000 --seed 7 --with " + two.path());
  EXPECT_EQ(faults(done), "");
  EXPECT(done.says("seed=7 models=2 "));
  EXPECT(!done.says("switches=0"));
  usize answers = done.text.rfind("tokens=");
  REQUIRE(answers != std::string::npos);
  std::string tokens = done.text.substr(answers, done.text.find(' ', answers) - answers);
  ScriptedRun more = run_commands("stability 500 --resume");
  EXPECT(more.says("stability: going on after seconds="));
  EXPECT(more.says(tokens + "\n"));
  EXPECT(!more.says("end seconds=0 rounds=0"));
}

TEST(console_stability, refuses_nonsense) {
  WithScriptedEngine fake;
  ScriptedRun done = run_commands(
      "stability soon; stability 0; stability 0h; stability -1s; stability --plant cabbage; "
      "stability 1000 --seed; stability 1000 --with nothing");
  EXPECT_EQ(done.failed, 7u);
}
