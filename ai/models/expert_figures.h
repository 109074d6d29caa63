// SPDX-License-Identifier: GPL-2.0-or-later
// Counts how the demands for experts of a model were met whose experts stay in its file, since it
// was loaded.
#pragma once

#include "kernel/base/types.h"

namespace ai {

struct ExpertFigures {
  u32 slots = 0;                  // 0: all experts are in memory
  u64 hits = 0, misses = 0;       // experts that a layer needed
  u64 rows = 0;                   // of all steps: tokens read, made or guessed
  u64 bytes = 0, reading_ns = 0;  // read from the disk, and how long reads were under way
  u64 waited_ns = 0;              // how long there was nothing else to compute
};

}  // namespace ai
