// SPDX-License-Identifier: GPL-2.0-or-later
// A matrix of weights that somebody else owns.
#pragma once

#include "ai/quant/types.h"

namespace ai {

// Rows are outputs, columns are inputs (GGUF dimension 0, the contiguous one).
struct TensorView {
  std::span<const Byte> data;
  QuantType type = QuantType::kF32;
  u32 columns = 0, rows = 0;
  usize row_bytes = 0;
  // False: rows one after another, as in an ordinary GGUF. True: groups of 16 rows interleaved so
  // that a SIMD lane owns a row (ai/quant/groups.h). Products want groups.
  bool grouped = false;

  bool present() const { return !data.empty(); }
};

}  // namespace ai
