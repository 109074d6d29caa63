// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests that compile hosted and in the kernel: TEST(suite, name) { EXPECT_EQ(a, b); }
//
// A failed EXPECT reports and continues; a failed REQUIRE reports and leaves the test. A test that
// depends on the speed of the machine belongs in a suite named timed_*, which runs only if a filter
// names it (`make timing`), so a busy machine makes no change fail. Tests print TAP through
// TestContext, which decides where the lines go.
#pragma once

#include "kernel/base/format.h"
#include "kernel/base/registry.h"

struct TestContext {
  base::Writer* out = nullptr;
  u32 failures = 0;  // of the running test
  bool skipped = false;

  void report(const char* file, int line, std::string_view text);
  // Marks the running test as skipped, with its reason. Follow it with `return`.
  void skip(std::string_view reason);
};

struct TestCase {
  const char* suite;
  const char* name;
  void (*body)(TestContext& test);
};

REGISTRY(marrow_tests, TestCase)

struct TestTotals {
  u32 passed = 0;
  u32 failed = 0;
  u32 skipped = 0;
};

// Every `of`-th test, beginning with number `index`: processes share the tests like this.
struct TestShare {
  u32 index = 0;
  u32 of = 1;
};

// Runs the share of the registered tests whose "suite.name" contains `filter`, sorted by name;
// prints TAP.
TestTotals run_tests(base::Writer& out, std::string_view filter, TestShare share = {});

#define TEST(suite_, name_)                                                                    \
  static void suite_##_##name_##_body(TestContext& test);                                      \
  static constexpr TestCase suite_##_##name_##_case{#suite_, #name_, suite_##_##name_##_body}; \
  REGISTER_ROW(marrow_tests, suite_##_##name_##_case);                                         \
  static void suite_##_##name_##_body([[maybe_unused]] TestContext& test)

#define EXPECT(condition)                                                      \
  do {                                                                         \
    if (!(condition)) test.report(__FILE__, __LINE__, "expected " #condition); \
  } while (0)

#define REQUIRE(condition)                                     \
  do {                                                         \
    if (!(condition)) {                                        \
      test.report(__FILE__, __LINE__, "required " #condition); \
      return;                                                  \
    }                                                          \
  } while (0)

// This is a function so that temporaries in `actual` live until the comparison is done.
template <class Actual, class Wanted>
void expect_equal(TestContext& test, const char* file, int line, const char* expression,
                  const Actual& actual, const Wanted& wanted) {
  if (actual == wanted) return;
  char text[256];
  test.report(file, line,
              base::format_into(text, "{}: got {}, wanted {}", expression, actual, wanted));
}

#define EXPECT_EQ(actual, wanted) expect_equal(test, __FILE__, __LINE__, #actual, actual, wanted)
