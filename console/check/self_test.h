// SPDX-License-Identifier: GPL-2.0-or-later
// The checks of `selftest`, which a kernel on trial must pass as well. For the shell's thread.
#pragma once

#include <span>

#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace console {

// A check's verdict depends on one of these. One that depends on the machine's speed fails on a
// busy machine, so it may not decide whether a kernel is good.
enum class Judges : u8 { kWork, kSpeed };

enum class SelfTestOf : u8 {
  kMachine,
  kTrial,  // of a new kernel: without what judges speed
};

struct SelfTestRow {
  const char* name;
  // Writes its facts to `out`, indented, and returns the verdict. kNotFound means that there is
  // nothing to check here.
  Result<void> (*check)(base::Writer& out, SelfTestOf of);
  Judges judges = Judges::kWork;
};
std::span<const SelfTestRow> self_test_rows();

struct SelfTestVerdict {
  u32 passed = 0, failed = 0, skipped = 0;
  const char* first_failed = "";  // the row's name
  Error error{};                  // of that row
};
SelfTestVerdict run_self_test(std::span<const SelfTestRow> rows, SelfTestOf of, base::Writer& out);

}  // namespace console
