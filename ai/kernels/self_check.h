// SPDX-License-Identifier: GPL-2.0-or-later
// Do the vector kernels of this machine give the reference's bits? For `selftest`: milliseconds,
// no test framework.
#pragma once

#include "ai/kernels/table.h"
#include "ai/platform.h"

namespace ai {

struct KernelCheck {
  u32 tables = 0;       // that this CPU can run, the reference not among them
  u32 comparisons = 0;  // products, conversions and row functions
};

// kCorrupt with the table and the format in the log when one gives other bits.
Result<KernelCheck> check_kernels(CpuFeatures have, Platform& platform);

}  // namespace ai
