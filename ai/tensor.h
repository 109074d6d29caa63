// SPDX-License-Identifier: GPL-2.0-or-later
// A view of a weight matrix that somebody else owns.
#pragma once

#include "ai/quant/types.h"

namespace ai {

// Rows are outputs, columns are inputs (GGUF dimension 0, the contiguous one).
struct TensorView {
  std::span<const Byte> data;
  QuantType type = QuantType::kF32;
  u32 columns = 0, rows = 0;
  usize row_bytes = 0;
  // False: rows follow one another, as in an ordinary GGUF. True: groups of 16 rows are
  // interleaved, so that each SIMD lane computes one row (ai/quant/groups.h). Products need groups.
  bool grouped = false;

  bool present() const { return !data.empty(); }
};

}  // namespace ai
