// SPDX-License-Identifier: GPL-2.0-or-later
// The primitives of NEON as every ARMv8 CPU has it. Included only by neon_*.cpp; everything has
// internal linkage.
#pragma once

#include <arm_neon.h>

#include "ai/attention/steps.h"
#include "ai/kernels/tiles.h"
#include "ai/math/activations.h"
#include "ai/quant/quant.h"

#define LANES_ENTRY static
#define LANES [[gnu::always_inline]] static inline
#define UNROLL _Pragma("GCC unroll 16")

namespace ai::neon {

#include "arch/aarch64/simd/neon128.inc"

constexpr u32 kWidestTile = 4;  // 4 columns take 8 partial, 4 integer and 4 float sums
constexpr u32 kWidestFused = 2, kWidestFusedScaled = 2;

// Products of rows 0 and 1, and of rows 2 and 3, with one 16-bit lane per row and weight vector.
struct Partial {
  int16x8_t low, high;
};

// Returns how many products can be added in a 16-bit lane, which takes one product per weight
// vector.
constexpr u32 fold_after(u32 highest) {
  return sums_in_16_bits(highest * 127);
}

LANES Partial zero_partial() {
  return {vdupq_n_s16(0), vdupq_n_s16(0)};
}
template <bool wide>
LANES Partial mac(Partial sum, I weights, I activations) {
  int8x16_t w = signed_bytes_of(weights), a = signed_bytes_of(activations);
  return {vmlal_s8(sum.low, vget_low_s8(w), vget_low_s8(a)), vmlal_high_s8(sum.high, w, a)};
}
LANES I folded(Partial partial) {
  return vpaddq_s32(vpaddlq_s16(partial.low), vpaddlq_s16(partial.high));
}
LANES I fold(I sum, Partial partial) {
  return vaddq_s32(sum, folded(partial));
}
LANES I fold_scaled(I sum, Partial partial, I scale) {
  return vmlaq_s32(sum, folded(partial), scale);
}

}  // namespace ai::neon
