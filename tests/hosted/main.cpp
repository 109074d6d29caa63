// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the unit tests as a process: unit_tests [filter]. Exit status 1 when one failed.
#include <cstdio>

#include "kernel/base/test.h"
#include "tests/hosted/test_threads.h"

int main(int argc, char** argv) {
  struct Out final : base::Writer {
    void write(std::string_view text) override { std::fwrite(text.data(), 1, text.size(), stdout); }
  } out;
  test_threads::start();  // what waits is only for threads
  TestTotals totals = run_tests(out, argc > 1 ? argv[1] : "");
  base::format_to(out, "{} passed, {} failed, {} skipped\n", totals.passed, totals.failed,
                  totals.skipped);
  return totals.failed == 0 && totals.passed > 0 ? 0 : 1;
}
