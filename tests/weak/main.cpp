// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the tests of memory ordering: weak_tests [part of a name]. Closes with `N passed, N failed`.
#include <cstdio>

#include "kernel/base/test.h"

namespace {

struct Out final : base::Writer {
  void write(std::string_view text) override { std::fwrite(text.data(), 1, text.size(), stdout); }
};

}  // namespace

int main(int argc, char** argv) {
  Out out;
  TestTotals totals = run_tests(out, argc > 1 ? argv[1] : "");
  base::format_to(out, "{} passed, {} failed, {} skipped\n", totals.passed, totals.failed,
                  totals.skipped);
  return totals.failed == 0 && totals.passed > 0 ? 0 : 1;
}
