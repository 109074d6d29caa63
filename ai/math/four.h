// SPDX-License-Identifier: GPL-2.0-or-later
// Vectors of four for code outside the kernel tables; every 64-bit CPU has them.
#pragma once

#include <bit>

#include "kernel/base/types.h"

namespace ai {

using FourFloats [[gnu::vector_size(16)]] = float;
using FourWords [[gnu::vector_size(16)]] = u32;

inline FourFloats four_at(const float* at) {
  FourFloats four;
  __builtin_memcpy(&four, at, sizeof four);
  return four;
}
inline void put_four(float* at, FourFloats four) {
  __builtin_memcpy(at, &four, sizeof four);
}

// Returns true if there is no NaN and no infinity, whose exponents have all bits set.
inline bool all_finite(const float* values, usize n) {
  constexpr u32 kExponent = 0x7f800000;
  FourWords found[2] = {};
  usize i = 0;
  for (; i + 8 <= n; i += 8)
    for (u32 v = 0; v < 2; v++)
      found[v] |= std::bit_cast<FourWords>(
          (std::bit_cast<FourWords>(four_at(values + i + 4 * v)) & kExponent) == kExponent);
  FourWords both = found[0] | found[1];
  u32 any = both[0] | both[1] | both[2] | both[3];
  for (; i < n; i++) any |= (std::bit_cast<u32>(values[i]) & kExponent) == kExponent ? 1 : 0;
  return any == 0;
}

}  // namespace ai
