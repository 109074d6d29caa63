// SPDX-License-Identifier: GPL-2.0-or-later
// Checks that this machine's vector kernels give the bits of the reference. `selftest` runs it; it
// takes milliseconds and needs no test framework.
#pragma once

#include "ai/kernels/table.h"
#include "ai/platform.h"

namespace ai {

struct KernelCheck {
  u32 tables = 0;       // tables that this CPU can run, besides the reference
  u32 comparisons = 0;  // products, conversions and row functions
};

// Returns kCorrupt if a bit differs; the log then names the table and the format.
Result<KernelCheck> check_kernels(CpuFeatures have, Platform& platform);

}  // namespace ai
