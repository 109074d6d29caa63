// SPDX-License-Identifier: GPL-2.0-or-later
// Sums over a vector in the one order of wiki/Numerics, rule 4: element i goes to lane i mod 16,
// ascending, then lanes are added 8 + 8, 4 + 4, 2 + 2, 1 + 1.
#pragma once

#include "kernel/base/types.h"

namespace ai {

// Sums term(i) for i in [0, n).
template <class Term>
float lane_sum(u32 n, Term&& term) {
  float lanes[16] = {};
  for (u32 i = 0; i < n; i++) lanes[i % 16] = lanes[i % 16] + term(i);
  for (u32 half = 8; half > 0; half /= 2)
    for (u32 i = 0; i < half; i++) lanes[i] = lanes[i] + lanes[i + half];
  return lanes[0];
}

}  // namespace ai
