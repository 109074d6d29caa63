// SPDX-License-Identifier: GPL-2.0-or-later
// A trial's self-test leaves out what judges the machine's speed.
#include "console/check/self_test.h"

#include <algorithm>
#include <string>

#include "kernel/base/test.h"

namespace {

using namespace console;

u32 slow_checks = 0;

Result<void> works(base::Writer&, SelfTestOf) {
  return {};
}
Result<void> is_absent(base::Writer&, SelfTestOf) {
  return fail(Errc::kNotFound, "nothing is there");
}
Result<void> is_broken(base::Writer&, SelfTestOf) {
  return fail(Errc::kCorrupt, "it is broken");
}
Result<void> is_slow(base::Writer&, SelfTestOf) {
  slow_checks++;
  return fail(Errc::kTimeout, "it took too long");
}

TEST(self_test, a_trial_leaves_out_what_judges_speed) {
  constexpr SelfTestRow kRows[] = {
      {"works", works}, {"slow", is_slow, Judges::kSpeed}, {"absent", is_absent}};
  String text;
  base::StringWriter out(text);
  slow_checks = 0;
  SelfTestVerdict trial = run_self_test(kRows, SelfTestOf::kTrial, out);
  EXPECT_EQ(slow_checks, 0u);
  EXPECT(trial.passed == 1 && trial.failed == 0 && trial.skipped == 1);
  EXPECT(!text.view().contains("slow"));
  SelfTestVerdict machine = run_self_test(kRows, SelfTestOf::kMachine, out);
  EXPECT_EQ(slow_checks, 1u);
  EXPECT(machine.passed == 1 && machine.failed == 1 && machine.skipped == 1);
  EXPECT_EQ(std::string(machine.first_failed), "slow");
}

TEST(self_test, a_trial_names_the_first_check_that_failed) {
  constexpr SelfTestRow kRows[] = {{"slow", is_slow, Judges::kSpeed},
                                   {"broken", is_broken},
                                   {"works", works},
                                   {"broken too", is_broken}};
  String text;
  base::StringWriter out(text);
  SelfTestVerdict trial = run_self_test(kRows, SelfTestOf::kTrial, out);
  EXPECT(trial.failed == 2 && trial.passed == 1);
  EXPECT_EQ(std::string(trial.first_failed), "broken");
  EXPECT_EQ(std::string(trial.error.what), "it is broken");
}

// The check of the table that can only fail by being slow is marked, and no other one is left out.
TEST(self_test, the_table_marks_its_check_of_speed) {
  auto judge = [](std::string_view name) {
    auto row = std::ranges::find(self_test_rows(), name,
                                 [](const SelfTestRow& r) { return std::string_view(r.name); });
    ASSERT(row != self_test_rows().end());
    return row->judges;
  };
  EXPECT(judge("lateness") == Judges::kSpeed);
  EXPECT_EQ(std::ranges::count(self_test_rows(), Judges::kWork, &SelfTestRow::judges),
            static_cast<std::ptrdiff_t>(self_test_rows().size()) - 1);
}

u32 limited_runs = 0, plain_runs = 0;
TEST(limited_self_test_sample, counts_itself) {
  limited_runs++;
}
TEST(self_test_sample, counts_itself) {
  plain_runs++;
}

// The row `tests` of a trial runs the built-in tests with this filter.
TEST(self_test, a_suite_with_a_limit_can_be_left_out) {
  String text;
  base::StringWriter out(text);
  limited_runs = plain_runs = 0;
  run_tests(out, "self_test_sample");
  EXPECT(limited_runs == 1 && plain_runs == 1);
  run_tests(out, "self_test_sample-limited_");
  EXPECT(limited_runs == 1 && plain_runs == 2);
}

}  // namespace
