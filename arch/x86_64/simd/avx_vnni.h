// SPDX-License-Identifier: GPL-2.0-or-later
// The primitives of AVX2 with F16C and AVX-VNNI: VPDPBUSD on 256 bits. Included only by
// avx_vnni_*.cpp; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include "ai/attention/steps.h"
#include "ai/kernels/tiles.h"
#include "ai/math/activations.h"
#include "ai/quant/quant.h"
#include "arch/x86_64/simd/pick.h"

#define LANES_ENTRY [[gnu::target("avx2,f16c,avxvnni")]] static
#define LANES [[gnu::target("avx2,f16c,avxvnni"), gnu::always_inline]] static inline
#define UNROLL _Pragma("GCC unroll 16")

namespace ai::avx_vnni {

#include "arch/x86_64/simd/avx256.inc"

constexpr u32 kWidestFusedScaled = kWidestFused;
constexpr u32 kWideOffset = 7;  // VPDPBUSD takes unsigned weights, so 128 is added to signed bytes

LANES I load_i16_lanes(const void* at) {
  return _mm256_cvtepi16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}

constexpr u32 fold_after(u32) {
  return 64;  // 32-bit sums need no folding
}

LANES Partial zero_partial() {
  return _mm256_setzero_si256();
}
template <bool wide>
LANES Partial mac(Partial sum, I weights, I activations) {
  return _mm256_dpbusd_avx_epi32(sum, weights, activations);
}
LANES I fold(I sum, Partial partial) {
  return _mm256_add_epi32(sum, partial);
}
LANES I fold_scaled(I sum, Partial partial, I scale) {
  return _mm256_add_epi32(sum, _mm256_mullo_epi32(partial, scale));
}
// Returns signed byte `i` of each lane in the form that fold_scaled() needs.
template <u32 i>
LANES I scale_of(I bytes) {
  return _mm256_srai_epi32(_mm256_slli_epi32(bytes, 24 - 8 * i), 24);
}
LANES I dot_pairs(I sum, I pairs, I activations) {
  return _mm256_dpwssd_avx_epi32(sum, pairs, activations);
}

}  // namespace ai::avx_vnni
