// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the unit tests as a process: unit_tests [filter]. Exit status 1 when one failed.
#include <cstdio>
#include <string>
#include <vector>

#include "kernel/base/test.h"
#include "tests/hosted/test_threads.h"

namespace {

// Prints what tests write, and keeps the names of those that failed: among hundreds of lines nobody
// finds them.
class Out final : public base::Writer {
 public:
  void write(std::string_view text) override {
    std::fwrite(text.data(), 1, text.size(), stdout);
    for (char c : text) {
      if (c != '\n') {
        line_ += c;
        continue;
      }
      if (line_.starts_with("not ok ")) failed_.push_back(line_.substr(line_.rfind(' ') + 1));
      line_.clear();
    }
  }
  const std::vector<std::string>& failed() const { return failed_; }

 private:
  std::string line_;
  std::vector<std::string> failed_;
};

}  // namespace

int main(int argc, char** argv) {
  Out out;
  test_threads::start();  // what waits is only for threads
  std::string_view filter = argc > 1 ? argv[1] : "";
  TestTotals totals = run_tests(out, filter);
  const std::vector<std::string> failed = out.failed();
  for (const std::string& name : failed) base::format_to(out, "failed: {}\n", name);
  if (totals.passed + totals.failed + totals.skipped == 0)
    base::format_to(out, "no test's suite.name contains '{}'\n", filter);
  base::format_to(out, "{} passed, {} failed, {} skipped\n", totals.passed, totals.failed,
                  totals.skipped);
  return totals.failed == 0 && totals.passed > 0 ? 0 : 1;
}
