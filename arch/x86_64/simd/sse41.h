// SPDX-License-Identifier: GPL-2.0-or-later
// The primitives of SSE4.1: four registers hold a group of 16 rows. For old CPUs, and fastest under
// QEMU's TCG, where 256-bit instructions make the float helpers slow. Included only by sse41_*.cpp;
// everything has internal linkage.
#pragma once

#include <smmintrin.h>

#include "ai/attention/steps.h"
#include "ai/kernels/tiles.h"
#include "ai/math/activations.h"
#include "ai/quant/quant.h"
#include "arch/x86_64/simd/pick.h"

#define LANES_ENTRY [[gnu::target("sse4.1")]] static
#define LANES [[gnu::target("sse4.1"), gnu::always_inline]] static inline
#define UNROLL _Pragma("GCC unroll 16")

namespace ai::sse41 {

#include "arch/x86_64/simd/sse128.inc"

using F = __m128;

constexpr u32 kWidestTile = 4;  // 4 partial, 4 integer and 4 float sums, weights, a broadcast

LANES I load_i(const void* at) {
  return _mm_loadu_si128(static_cast<const __m128i*>(at));
}
LANES F load_f(const float* at) {
  return _mm_loadu_ps(at);
}
LANES void store_f(float* at, F v) {
  _mm_storeu_ps(at, v);
}
LANES F set_f(float v) {
  return _mm_set1_ps(v);
}
LANES I broadcast(const void* four_bytes) {
  int word;
  __builtin_memcpy(&word, four_bytes, 4);
  return _mm_set1_epi32(word);
}
// Returns four activations in the form that mac() needs.
LANES I spread(const void* four_bytes) {
  return broadcast(four_bytes);
}
// Widens halves by integer operations, because F16C is missing here. Zeros, denormals, infinities
// and NaNs are rare and take the second path.
LANES F load_f16(const void* at) {
  I half = _mm_cvtepu16_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(at)));
  I sign = _mm_slli_epi32(_mm_and_si128(half, _mm_set1_epi32(0x8000)), 16);
  I rest = _mm_and_si128(half, _mm_set1_epi32(0x7fff));
  I normal = _mm_add_epi32(_mm_slli_epi32(rest, 13), _mm_set1_epi32(112 << 23));
  I tiny = _mm_cmplt_epi32(rest, _mm_set1_epi32(0x400));
  I huge = _mm_cmpgt_epi32(rest, _mm_set1_epi32(0x7bff));
  if (_mm_movemask_epi8(_mm_or_si128(tiny, huge)) != 0) {
    // A denormal is an integer times 2^-24. A NaN becomes quiet.
    F small = _mm_mul_ps(_mm_cvtepi32_ps(rest), _mm_set1_ps(0x1p-24f));
    I nan = _mm_and_si128(_mm_cmpgt_epi32(rest, _mm_set1_epi32(0x7c00)), _mm_set1_epi32(0x400000));
    I big = _mm_or_si128(_mm_add_epi32(normal, _mm_set1_epi32(112 << 23)), nan);
    normal = _mm_blendv_epi8(normal, _mm_castps_si128(small), tiny);
    normal = _mm_blendv_epi8(normal, big, huge);
  }
  return _mm_castsi128_ps(_mm_or_si128(normal, sign));
}
LANES I load_four(const void* at) {
  int word;
  __builtin_memcpy(&word, at, 4);
  return _mm_cvtsi32_si128(word);
}
LANES I load_u8_lanes(const void* at) {
  return _mm_cvtepu8_epi32(load_four(at));
}
LANES I load_i8_lanes(const void* at) {
  return _mm_cvtepi8_epi32(load_four(at));
}
LANES I load_u16_lanes(const void* at) {
  return _mm_cvtepu16_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(at)));
}

LANES I max_u32(I a, I b) {
  return _mm_max_epu32(a, b);
}
// Rearranges the bytes of each 32-bit lane by number; kZ gives zero.
template <int a, int b, int c, int d>
LANES I pick(I v) {
  constexpr int k0 = pick_word(0, a, b, c, d), k1 = pick_word(1, a, b, c, d);
  constexpr int k2 = pick_word(2, a, b, c, d), k3 = pick_word(3, a, b, c, d);
  return _mm_shuffle_epi8(v, _mm_setr_epi32(k0, k1, k2, k3));
}
LANES I look_up(const i8* table16, I index) {
  return _mm_shuffle_epi8(_mm_load_si128(reinterpret_cast<const __m128i*>(table16)), index);
}
// Stores the low byte of each lane.
LANES void store_i8_lanes(void* at, I v) {
  int bytes = _mm_cvtsi128_si32(_mm_shuffle_epi8(v, _mm_setr_epi32(0x0c080400, -1, -1, -1)));
  __builtin_memcpy(at, &bytes, 4);
}

LANES F to_f(I v) {
  return _mm_cvtepi32_ps(v);
}
LANES F as_f(I v) {
  return _mm_castsi128_ps(v);
}
LANES I as_i(F v) {
  return _mm_castps_si128(v);
}
LANES F add_f(F a, F b) {
  return _mm_add_ps(a, b);
}
LANES F sub_f(F a, F b) {
  return _mm_sub_ps(a, b);
}
LANES F mul_f(F a, F b) {
  return _mm_mul_ps(a, b);
}
LANES F div_f(F a, F b) {
  return _mm_div_ps(a, b);
}
// Returns the larger value, and b if either is NaN.
LANES F max_f(F a, F b) {
  return _mm_max_ps(a, b);
}
LANES F min_f(F a, F b) {
  return _mm_min_ps(a, b);
}
// Returns all ones where a < b.
LANES I less_f(F a, F b) {
  return _mm_castps_si128(_mm_cmplt_ps(a, b));
}
LANES float first_lane(F v) {
  return _mm_cvtss_f32(v);
}
LANES u32 highest_u32(I v) {
  I m = _mm_max_epu32(v, _mm_shuffle_epi32(v, 0x4e));
  m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
  return static_cast<u32>(_mm_cvtsi128_si32(m));
}
LANES float highest_f(F v) {
  F m = _mm_max_ps(v, _mm_shuffle_ps(v, v, 0x4e));
  m = _mm_max_ps(m, _mm_shuffle_ps(m, m, 0xb1));
  return _mm_cvtss_f32(m);
}

// Returns signed bytes 2i and 2i + 1 of each lane as two 16-bit numbers.
template <u32 i>
LANES I pair_of(I bytes) {
  return _mm_srai_epi16(pick<kZ, 2 * i, kZ, 2 * i + 1>(bytes), 8);
}

// the magnitudes of signed weights are multiplied, and the sign is moved to the activations
constexpr u32 kWideOffset = 0;

template <bool wide>
LANES Partial mac(Partial sum, I weights, I activations) {
  if constexpr (wide)
    return _mm_maddubs_epi16(_mm_abs_epi8(weights), _mm_sign_epi8(activations, weights));
  return _mm_add_epi16(sum, _mm_maddubs_epi16(weights, activations));
}
// Returns signed byte `i` of each lane in the form that fold_scaled() needs: twice, as 16-bit
// numbers.
template <u32 i>
LANES I scale_of(I bytes) {
  return _mm_srai_epi16(pick<kZ, i, kZ, i>(bytes), 8);
}
}  // namespace ai::sse41
