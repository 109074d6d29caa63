// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the unit tests as a process: unit_tests [FILTER] [share=1/2]. Exit status 1 when one failed.
// With share=K/N only every N-th test runs, beginning with the K-th.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "kernel/base/test.h"
#include "tests/hosted/test_threads.h"

namespace {

using Clock = std::chrono::steady_clock;

// Prints what tests write. Keeps the names of those that failed, since nobody finds them among
// hundreds of lines, and the seconds that each test took.
class Out final : public base::Writer {
 public:
  void write(std::string_view text) override {
    std::fwrite(text.data(), 1, text.size(), stdout);
    for (char c : text) {
      if (c != '\n') {
        line_ += c;
        continue;
      }
      take_line();
      line_.clear();
    }
  }
  const std::vector<std::string>& failed() const { return failed_; }
  void print_slowest(usize count) {
    std::sort(took_.begin(), took_.end(),
              [](const Took& a, const Took& b) { return a.seconds > b.seconds; });
    for (usize i = 0; i < std::min(count, took_.size()); i++)
      std::printf("# slowest: %5.1f s %s\n", took_[i].seconds, took_[i].name.c_str());
  }

 private:
  struct Took {
    double seconds;
    std::string name;
  };

  void take_line() {
    bool failed = line_.starts_with("not ok ");
    if (!failed && !line_.starts_with("ok ")) return;
    std::string name = line_.substr(line_.rfind(' ') + 1);
    if (failed) failed_.push_back(name);
    Clock::time_point now = Clock::now();
    took_.push_back({std::chrono::duration<double>(now - last_).count(), std::move(name)});
    last_ = now;
  }

  std::string line_;
  Clock::time_point last_ = Clock::now();
  std::vector<Took> took_;
  std::vector<std::string> failed_;
};

struct Options {
  std::string_view filter;
  TestShare share;
};

// Returns false if a share is not of the form K/N with K from 1 to N.
bool read_options(std::span<char* const> words, Options& options) {
  constexpr std::string_view kShare = "share=";
  for (std::string_view word : words) {
    if (!word.starts_with(kShare)) {
      options.filter = word;
      continue;
    }
    unsigned index = 0, of = 0;
    if (std::sscanf(word.data() + kShare.size(), "%u/%u", &index, &of) != 2) return false;
    if (index < 1 || index > of) return false;
    options.share = {.index = index - 1, .of = of};
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Out out;
  Options options;
  if (!read_options(std::span(argv, static_cast<usize>(argc)).subspan(1), options)) {
    std::fputs("a share is K/N with K from 1 to N, as in share=1/2\n", stderr);
    return 2;
  }
  test_threads::start();  // what waits is only for threads
  std::string_view filter = options.filter;
  TestTotals totals = run_tests(out, filter, options.share);
  if (filter.empty()) out.print_slowest(12);
  const std::vector<std::string> failed = out.failed();
  for (const std::string& name : failed) base::format_to(out, "failed: {}\n", name);
  if (totals.passed + totals.failed + totals.skipped == 0)
    base::format_to(out, "no test's suite.name contains '{}'\n", filter);
  base::format_to(out, "{} passed, {} failed, {} skipped\n", totals.passed, totals.failed,
                  totals.skipped);
  return totals.failed == 0 && totals.passed > 0 ? 0 : 1;
}
