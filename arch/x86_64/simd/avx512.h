// SPDX-License-Identifier: GPL-2.0-or-later
// The primitives of AVX-512 with VNNI: one register holds a group of 16 rows, and VPDPBUSD adds
// four products per lane. Included only by avx512_*.cpp; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include "ai/attention/steps.h"
#include "ai/kernels/tiles.h"
#include "ai/math/activations.h"
#include "ai/quant/quant.h"
#include "arch/x86_64/simd/pick.h"

#define LANES_ENTRY [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]] static
#define LANES \
  [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"), gnu::always_inline]] static inline
#define UNROLL _Pragma("GCC unroll 16")

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own header initializes the undefined source of unmasked operations with itself.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace ai::avx512 {

using I = __m512i;
using F = __m512;
using Partial = __m512i;  // 32-bit sums need no folding

constexpr u32 kLanes = 16, kParts = 1, kRegisters = 32;
constexpr u32 kWidestTile = 8;  // 8 integer and 8 float sums, weights, scales: 20 of 32 registers
constexpr u32 kWidestFused = 8;
constexpr u32 kWidestFusedScaled = kWidestFused;
constexpr u32 kFloatRows = 4;
constexpr u32 kWideOffset = 7;  // VPDPBUSD takes unsigned weights, so 128 is added to signed bytes
constexpr int kZ = kPickZero;

#include "arch/x86_64/simd/lines.inc"

constexpr u32 fold_after(u32) {
  return 64;
}

LANES I load_i(const void* at) {
  return _mm512_loadu_si512(at);
}
LANES void store_i(void* at, I v) {
  _mm512_storeu_si512(at, v);
}
LANES F load_f(const float* at) {
  return _mm512_loadu_ps(at);
}
LANES void store_f(float* at, F v) {
  _mm512_storeu_ps(at, v);
}
LANES I set_i8(u8 v) {
  return _mm512_set1_epi8(static_cast<char>(v));
}
LANES I set_i32(u32 v) {
  return _mm512_set1_epi32(static_cast<int>(v));
}
LANES F set_f(float v) {
  return _mm512_set1_ps(v);
}
LANES I broadcast(const void* four_bytes) {
  int word;
  __builtin_memcpy(&word, four_bytes, 4);
  return _mm512_set1_epi32(word);
}
// Returns four activations in the form that mac() needs.
LANES I spread(const void* four_bytes) {
  return broadcast(four_bytes);
}
LANES F load_f16(const void* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(at)));
}
LANES I load_u8_lanes(const void* at) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}
LANES I load_i8_lanes(const void* at) {
  return _mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}
LANES I load_u16_lanes(const void* at) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(at)));
}
LANES I load_i16_lanes(const void* at) {
  return _mm512_cvtepi16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(at)));
}
// Stores the low byte of each lane.
LANES void store_i8_lanes(void* at, I v) {
  _mm_storeu_si128(static_cast<__m128i*>(at), _mm512_cvtepi32_epi8(v));
}

LANES I and_i(I a, I b) {
  return _mm512_and_si512(a, b);
}
LANES I or_i(I a, I b) {
  return _mm512_or_si512(a, b);
}
LANES I xor_i(I a, I b) {
  return _mm512_xor_si512(a, b);
}
LANES I andnot_i(I not_this, I b) {
  return _mm512_andnot_si512(not_this, b);
}
LANES I add_i32(I a, I b) {
  return _mm512_add_epi32(a, b);
}
LANES I sub_i32(I a, I b) {
  return _mm512_sub_epi32(a, b);
}
LANES I sub_i8(I a, I b) {
  return _mm512_sub_epi8(a, b);
}
LANES I add_i8(I a, I b) {
  return _mm512_add_epi8(a, b);
}
// Returns all ones in the bytes where a > b, as signed numbers.
LANES I greater_i8(I a, I b) {
  return _mm512_movm_epi8(_mm512_cmpgt_epi8_mask(a, b));
}
LANES I max_u32(I a, I b) {
  return _mm512_max_epu32(a, b);
}
LANES I equal_i32(I a, I b) {
  return _mm512_movm_epi32(_mm512_cmpeq_epi32_mask(a, b));
}
LANES I greater_i32(I a, I b) {
  return _mm512_movm_epi32(_mm512_cmpgt_epi32_mask(a, b));
}
LANES I test_i8(I a, I b) {
  return _mm512_movm_epi8(_mm512_test_epi8_mask(a, b));
}
// Shifts 16-bit lanes left by `by` bits, or right if it is negative.
template <int by>
LANES I shift_i16(I v) {
  if constexpr (by > 0) return _mm512_slli_epi16(v, by);
  if constexpr (by < 0) return _mm512_srli_epi16(v, -by);
  return v;
}
template <int by>
LANES I shift_i32(I v) {
  return _mm512_slli_epi32(v, by);
}
// Rearranges the bytes of each 32-bit lane by number; kZ gives zero.
template <int a, int b, int c, int d>
LANES I pick(I v) {
  constexpr int k0 = pick_word(0, a, b, c, d), k1 = pick_word(1, a, b, c, d);
  constexpr int k2 = pick_word(2, a, b, c, d), k3 = pick_word(3, a, b, c, d);
  return _mm512_shuffle_epi8(v, _mm512_set4_epi32(k3, k2, k1, k0));
}
LANES I look_up(const i8* table16, I index) {
  I table = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(table16)));
  return _mm512_shuffle_epi8(table, index);
}

LANES F to_f(I v) {
  return _mm512_cvtepi32_ps(v);
}
LANES F as_f(I v) {
  return _mm512_castsi512_ps(v);
}
LANES I as_i(F v) {
  return _mm512_castps_si512(v);
}
LANES F add_f(F a, F b) {
  return _mm512_add_ps(a, b);
}
LANES F sub_f(F a, F b) {
  return _mm512_sub_ps(a, b);
}
LANES F mul_f(F a, F b) {
  return _mm512_mul_ps(a, b);
}
LANES F div_f(F a, F b) {
  return _mm512_div_ps(a, b);
}
// Returns the larger value, and b if either is NaN.
LANES F max_f(F a, F b) {
  return _mm512_max_ps(a, b);
}
LANES F min_f(F a, F b) {
  return _mm512_min_ps(a, b);
}
// Returns all ones where a < b.
LANES I less_f(F a, F b) {
  return _mm512_movm_epi32(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ));
}
LANES float square_root(float v) {
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(v)));
}
LANES float first_lane(F v) {
  return _mm512_cvtss_f32(v);
}
LANES u32 highest_u32(I v) {
  return _mm512_reduce_max_epu32(v);
}
LANES i32 sum_i32(I v) {
  return _mm512_reduce_add_epi32(v);
}
LANES float highest_f(F v) {
  return _mm512_reduce_max_ps(v);
}

LANES Partial zero_partial() {
  return _mm512_setzero_si512();
}
template <bool wide>
LANES Partial mac(Partial sum, I weights, I activations) {
  return _mm512_dpbusd_epi32(sum, weights, activations);
}
LANES I fold(I sum, Partial partial) {
  return _mm512_add_epi32(sum, partial);
}
LANES I fold_scaled(I sum, Partial partial, I scale) {
  return _mm512_add_epi32(sum, _mm512_mullo_epi32(partial, scale));
}
// Returns signed byte `i` of each lane in the form that fold_scaled() needs.
template <u32 i>
LANES I scale_of(I bytes) {
  return _mm512_srai_epi32(_mm512_slli_epi32(bytes, 24 - 8 * i), 24);
}
// Returns signed bytes 2i and 2i + 1 of each lane as two 16-bit numbers.
template <u32 i>
LANES I pair_of(I bytes) {
  return _mm512_srai_epi16(pick<kZ, 2 * i, kZ, 2 * i + 1>(bytes), 8);
}
LANES I dot_pairs(I sum, I pairs, I activations) {
  return _mm512_dpwssd_epi32(sum, pairs, activations);
}

LANES void leave() {
  _mm256_zeroupper();
}

}  // namespace ai::avx512
