// SPDX-License-Identifier: GPL-2.0-or-later
// The primitives of AVX2 with F16C. Included only by avx2_*.cpp; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include "ai/attention/steps.h"
#include "ai/kernels/tiles.h"
#include "ai/math/activations.h"
#include "ai/quant/quant.h"
#include "arch/x86_64/simd/pick.h"

#define LANES_ENTRY [[gnu::target("avx2,f16c")]] static
#define LANES [[gnu::target("avx2,f16c"), gnu::always_inline]] static inline
#define UNROLL _Pragma("GCC unroll 16")

namespace ai::avx2 {

#include "arch/x86_64/simd/avx256.inc"

// The scales of sub-blocks take more registers, and four columns at once would spill.
constexpr u32 kWidestFusedScaled = 2;

// the magnitudes of signed weights are multiplied, and the sign is moved to the activations
constexpr u32 kWideOffset = 0;

// VPMADDUBSW adds two products in each 16-bit lane.
constexpr u32 fold_after(u32 highest) {
  return sums_in_16_bits(2 * highest * 127);
}

LANES Partial zero_partial() {
  return _mm256_setzero_si256();
}
template <bool wide>
LANES Partial mac(Partial sum, I weights, I activations) {
  if constexpr (wide)
    return _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(activations, weights));
  return _mm256_add_epi16(sum, _mm256_maddubs_epi16(weights, activations));
}
LANES I fold(I sum, Partial partial) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(partial, _mm256_set1_epi16(1)));
}
LANES I fold_scaled(I sum, Partial partial, I scale) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(partial, scale));
}
// Returns signed byte `i` of each lane in the form that fold_scaled() needs: twice, as 16-bit
// numbers.
template <u32 i>
LANES I scale_of(I bytes) {
  return _mm256_srai_epi16(pick<kZ, i, kZ, i>(bytes), 8);
}
LANES I dot_pairs(I sum, I pairs, I activations) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, activations));
}

}  // namespace ai::avx2
