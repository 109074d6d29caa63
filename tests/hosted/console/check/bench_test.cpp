// SPDX-License-Identifier: GPL-2.0-or-later
// bench, perfline and selftest over a scripted engine.
#include "console/check/bench.h"

#include "console/shell/shell.h"
#include "kernel/base/test.h"
#include "tests/hosted/console/console_script.h"
#include "tests/hosted/scripted_engine.h"

TEST(console_bench, measures_one_request) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  ScriptedIo io;
  ai::Lease model = MUST(service::engine_host().lease(service::kBenchHolder));
  Result<console::Measurement> m = console::measure(model, io, 20, 10, 1);
  REQUIRE(m.has_value());
  EXPECT_EQ(m->decoded, u64{9});
  EXPECT_EQ(m->prefill_ns, u64{1'000'000'000});
  EXPECT_EQ(fake.engine->prompts[0].size(), usize{20});
  EXPECT(fake.engine->requests[0].ignore_end);
  EXPECT(!fake.engine->requests[0].cache_prompt);
}

TEST(console_bench, control_c_stops_it) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  ScriptedIo io;
  ai::Lease model = MUST(service::engine_host().lease(service::kBenchHolder));
  io.interrupt_at = 5;
  Result<console::Measurement> m = console::measure(model, io, 20, 50, 1);
  REQUIRE(!m.has_value());
  EXPECT_EQ(m.error().code, Errc::kCancelled);
  EXPECT_EQ(fake.engine->running(), 0u);
}

TEST(console_bench, refused_requests_are_an_error_that_leaves_nothing_behind) {
  WithScriptedEngine fake;
  fake.engine->refuse = {Errc::kFull, "full"};
  ScriptedIo io;
  ai::Lease model = MUST(service::engine_host().lease(service::kBenchHolder));
  EXPECT(!console::measure(model, io, 20, 50, 2).has_value());
}

TEST(console_bench, perfline_is_one_line) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  ScriptedRun line = run_commands("perfline");
  EXPECT_EQ(line.failed, 0u);
  EXPECT(line.text.starts_with("marrow: perf tokens=64 seconds="));
  EXPECT(line.text.ends_with("kernels=fake ok\n"));
  ScriptedRun wrong = run_commands("bench --wrong");
  EXPECT(wrong.says("bench [--quick]"));
  EXPECT_EQ(wrong.failed, 1u);
}

TEST(console_bench, second_run_is_compared_with_the_first) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x')};
  run_commands("bench --quick");
  ScriptedRun again = run_commands("bench --quick");
  EXPECT_EQ(again.failed, 0u);
  const std::string& second = again.text;
  usize at = second.find("the run before: rates as parts of it\n");
  REQUIRE(at != std::string::npos);
  usize rows = 0;
  for (usize i = at; (i = second.find(" %\n", i)) != std::string::npos; i++) rows++;
  // The two rows whose figures are the scripted engine's; the others take what this machine takes,
  // which may be too little for a rate.
  EXPECT(rows >= 2);
  EXPECT(second.find("     32       1      1    100.0 %        - %", at) != std::string::npos);
  EXPECT(second.find("    128       1      1    100.0 %        - %", at) != std::string::npos);
  EXPECT(run_commands("bench --last").text.starts_with("# Fake, "));
}

TEST(console_bench, takes_cases_of_its_own) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(100, 'x'), std::string(100, 'x'), std::string(100, 'x')};
  ScriptedRun done = run_commands("bench --csv --cases 20:5:1,7:3:2");
  EXPECT_EQ(done.failed, 0u);
  EXPECT(done.says("\n20,5,1,"));
  EXPECT(done.says("\n7,3,2,"));
  for (const char* wrong : {"bench --cases", "bench --cases 20", "bench --cases 20:5:1,x",
                            "bench --cases 20:5:0", "bench --cases 20:5:1:1"})
    EXPECT_EQ(run_commands(wrong).failed, 1u);
}
