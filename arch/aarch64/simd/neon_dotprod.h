// SPDX-License-Identifier: GPL-2.0-or-later
// The primitives of NEON with its dot product (ARMv8.2): SDOT adds four products per lane, signed
// by signed. Included only by neon_dotprod_*.cpp; everything has internal linkage.
#pragma once

#include <arm_neon.h>

#include "ai/attention/steps.h"
#include "ai/kernels/tiles.h"
#include "ai/math/activations.h"
#include "ai/quant/quant.h"

#define LANES_ENTRY [[gnu::target("arch=armv8.2-a+dotprod")]] static
#define LANES [[gnu::target("arch=armv8.2-a+dotprod"), gnu::always_inline]] static inline
#define UNROLL _Pragma("GCC unroll 16")

namespace ai::neon_dotprod {

#include "arch/aarch64/simd/neon128.inc"

using Partial = int32x4_t;      // 32-bit sums need no folding
constexpr u32 kWidestTile = 8;  // 8 partial, 8 integer and 8 float sums, weights: 25 of 32
constexpr u32 kWidestFused = 2, kWidestFusedScaled = 2;

constexpr u32 fold_after(u32) {
  return 64;
}

LANES Partial zero_partial() {
  return vdupq_n_s32(0);
}
template <bool wide>
LANES Partial mac(Partial sum, I weights, I activations) {
  return vdotq_s32(sum, signed_bytes_of(weights), signed_bytes_of(activations));
}
LANES I fold(I sum, Partial partial) {
  return vaddq_s32(sum, partial);
}
LANES I fold_scaled(I sum, Partial partial, I scale) {
  return vmlaq_s32(sum, partial, scale);
}

}  // namespace ai::neon_dotprod
