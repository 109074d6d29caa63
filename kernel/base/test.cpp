// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the tests sorted by name and prints TAP lines and totals.
#include "kernel/base/test.h"

void TestContext::report(const char* file, int line, std::string_view text) {
  failures++;
  base::format_to(*out, "#   {}:{}: {}\n", file, line, text);
}

void TestContext::skip(std::string_view reason) {
  skipped = true;
  base::format_to(*out, "#   skipped: {}\n", reason);
}

namespace {

int compare_names(const TestCase& a, const TestCase& b) {
  int by_suite = std::string_view(a.suite).compare(b.suite);
  return by_suite != 0 ? by_suite : std::string_view(a.name).compare(b.name);
}

// A filter leaves out the suites that begin with the part of it behind a '-'.
bool selected(const TestCase& row, std::string_view filter) {
  constexpr std::string_view kTimed = "timed_";
  if (usize at = filter.find('-'); at != filter.npos)
    return selected(row, filter.substr(0, at)) &&
           !std::string_view(row.suite).starts_with(filter.substr(at + 1));
  if (std::string_view(row.suite).starts_with(kTimed) && !filter.starts_with(kTimed)) return false;
  char buffer[160];
  std::string_view full = base::format_into(buffer, "{}.{}", row.suite, row.name);
  return full.find(filter) != std::string_view::npos;
}

// Returns the next row after `last` in name order. The section is small, so it is searched instead
// of sorted.
const TestCase* next_after(const TestCase* last, std::string_view filter) {
  const TestCase* best = nullptr;
  for (const TestCase* row : marrow_tests_rows()) {
    if (!selected(*row, filter)) continue;
    if (last != nullptr && compare_names(*row, *last) <= 0) continue;
    if (best == nullptr || compare_names(*row, *best) < 0) best = row;
  }
  return best;
}

}  // namespace

TestTotals run_tests(base::Writer& out, std::string_view filter, TestShare share) {
  TestTotals totals;
  u32 number = 0, seen = 0;
  for (const TestCase* row = next_after(nullptr, filter); row != nullptr;
       row = next_after(row, filter)) {
    if (seen++ % share.of != share.index) continue;
    TestContext context{.out = &out};
    row->body(context);
    number++;
    bool ok = context.failures == 0;
    (!ok ? totals.failed : context.skipped ? totals.skipped : totals.passed)++;
    base::format_to(out, "{} {} - {}.{}{}\n", ok ? "ok" : "not ok", number, row->suite, row->name,
                    ok && context.skipped ? " # SKIP" : "");
  }
  base::format_to(out, "1..{}\n", number);
  return totals;
}
