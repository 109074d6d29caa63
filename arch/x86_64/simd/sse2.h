// SPDX-License-Identifier: GPL-2.0-or-later
// The primitives of plain SSE2, chosen for how an emulator (QEMU's TCG) translates them, and for
// x86-64 CPUs without SSE4.1. Included only by sse2_*.cpp; internal linkage throughout.
//
// TCG keeps the vector registers in memory. What it translates to one host instruction costs 0.7 ns
// (and, add, shift by a constant, PMULLW); what it calls a function for costs 2 to 23 ns (PMADDWD
// 5, PMADDUBSW 19, PSHUFB 23). A 16-byte load through MOVUPS costs 6, because it is written as two
// halves and read as a whole, but only 0.5 with MOVLPS and MOVHPS. MULPS costs 34, ADDPS 24, four
// MULSS 17 and four ADDSS 16 (QEMU 7.2 on Zen 4). So products are computed in 16-bit lanes, bytes
// are loaded by halves, and the four floats of F are four scalars. scripts/mk/kernel.mk keeps the
// compiler from joining those again.
#pragma once

#include <emmintrin.h>

#include "ai/attention/steps.h"
#include "ai/kernels/tiles.h"
#include "ai/math/activations.h"
#include "ai/quant/quant.h"
#include "arch/x86_64/simd/pick.h"

#define LANES_ENTRY static
#define LANES [[gnu::always_inline]] static inline
#define UNROLL _Pragma("GCC unroll 16")

namespace ai::sse2 {

#include "arch/x86_64/simd/sse128.inc"

struct F {
  float a, b, c, d;
};
// Four activations for every lane, widened: bytes 0 and 2, bytes 1 and 3.
struct Spread {
  I even, odd;
};

constexpr u32 kWidestTile = 4;  // 4 partial, 4 integer sums, weights, a spread; floats in memory

LANES I load_i(const void* at) {
  struct Half {
    u64 bits;
  } const* halves = static_cast<const Half*>(at);
  __m128 v;
  asm("movlps %1, %0\n\tmovhps %2, %0" : "=&x"(v) : "m"(halves[0]), "m"(halves[1]));
  return _mm_castps_si128(v);
}
LANES F load_f(const float* at) {
  return {at[0], at[1], at[2], at[3]};
}
LANES void store_f(float* at, F v) {
  at[0] = v.a;
  at[1] = v.b;
  at[2] = v.c;
  at[3] = v.d;
}
LANES F set_f(float v) {
  return {v, v, v, v};
}
LANES I broadcast(const void* four_bytes) {
  int word;
  __builtin_memcpy(&word, four_bytes, 4);
  return _mm_shuffle_epi32(_mm_cvtsi32_si128(word), 0);
}
LANES I even_bytes(I v) {  // signed, in 16-bit lanes
  return _mm_srai_epi16(_mm_slli_epi16(v, 8), 8);
}
LANES I odd_bytes(I v) {
  return _mm_srai_epi16(v, 8);
}
LANES Spread spread(const void* four_bytes) {
  I bytes = broadcast(four_bytes);
  return {even_bytes(bytes), odd_bytes(bytes)};
}
LANES float widen(u32 half) {
  u32 sign = (half & 0x8000) << 16, rest = half & 0x7fff;
  if (rest - 0x400 < 0x7800) [[likely]]
    return __builtin_bit_cast(float, sign | ((rest << 13) + (112u << 23)));
  if (rest < 0x400) {  // zero or denormal: an integer times 2^-24
    float small = static_cast<float>(static_cast<int>(rest)) * 0x1p-24f;
    return __builtin_bit_cast(float, sign | __builtin_bit_cast(u32, small));
  }
  // Infinity, or NaN, which becomes quiet.
  return __builtin_bit_cast(float, sign | 0x7f800000 | rest << 13 | (rest > 0x7c00 ? 0x400000 : 0));
}
LANES F load_f16(const void* at) {
  u16 half[4];
  __builtin_memcpy(half, at, sizeof half);
  return {widen(half[0]), widen(half[1]), widen(half[2]), widen(half[3])};
}
LANES I load_u8_lanes(const void* at) {
  auto* b = static_cast<const u8*>(at);
  return _mm_setr_epi32(b[0], b[1], b[2], b[3]);
}
LANES I load_i8_lanes(const void* at) {
  auto* b = static_cast<const i8*>(at);
  return _mm_setr_epi32(b[0], b[1], b[2], b[3]);
}
LANES I load_u16_lanes(const void* at) {
  u16 w[4];
  __builtin_memcpy(w, at, sizeof w);
  return _mm_setr_epi32(w[0], w[1], w[2], w[3]);
}

LANES I max_u32(I a, I b) {
  I top = set_i32(0x80000000u);
  I a_is_more = greater_i32(xor_i(a, top), xor_i(b, top));
  return or_i(and_i(a_is_more, a), andnot_i(a_is_more, b));
}
// Moves byte `from` of each lane to byte `to` and clears the others.
template <int from, int to>
LANES I moved_byte(I v) {
  if constexpr (from == kZ) return _mm_setzero_si128();
  I there = v;
  if constexpr (from > to) there = _mm_srli_epi32(v, 8 * (from - to));
  if constexpr (from < to) there = _mm_slli_epi32(v, 8 * (to - from));
  return and_i(there, set_i32(0xffu << 8 * to));
}
// Rearranges the bytes of each 32-bit lane by number; kZ gives zero.
template <int a, int b, int c, int d>
LANES I pick(I v) {
  return or_i(or_i(moved_byte<a, 0>(v), moved_byte<b, 1>(v)),
              or_i(moved_byte<c, 2>(v), moved_byte<d, 3>(v)));
}
LANES I look_up(const i8* table16, I index) {
  alignas(16) u8 at[16];
  alignas(16) i8 value[16];
  store_i(at, index);
  UNROLL for (u32 i = 0; i < 16; i++) value[i] = table16[at[i] % 16];
  return load_i(value);
}
// Stores the low byte of each lane.
LANES void store_i8_lanes(void* at, I v) {
  alignas(16) u32 lane[4];
  store_i(lane, v);
  u32 bytes = (lane[0] & 255) | (lane[1] & 255) << 8 | (lane[2] & 255) << 16 | lane[3] << 24;
  __builtin_memcpy(at, &bytes, 4);
}

LANES F to_f(I v) {
  alignas(16) i32 lane[4];
  store_i(lane, v);
  return {static_cast<float>(lane[0]), static_cast<float>(lane[1]), static_cast<float>(lane[2]),
          static_cast<float>(lane[3])};
}
LANES F as_f(I v) {
  alignas(16) float lane[4];
  store_i(lane, v);
  return load_f(lane);
}
LANES I as_i(F v) {
  alignas(16) float lane[4];
  store_f(lane, v);
  return load_i(lane);
}
LANES F add_f(F x, F y) {
  return {x.a + y.a, x.b + y.b, x.c + y.c, x.d + y.d};
}
LANES F sub_f(F x, F y) {
  return {x.a - y.a, x.b - y.b, x.c - y.c, x.d - y.d};
}
LANES F mul_f(F x, F y) {
  return {x.a * y.a, x.b * y.b, x.c * y.c, x.d * y.d};
}
LANES F div_f(F x, F y) {
  return {x.a / y.a, x.b / y.b, x.c / y.c, x.d / y.d};
}
// Returns the larger value, and y if either is NaN.
LANES F max_f(F x, F y) {
  return {x.a > y.a ? x.a : y.a, x.b > y.b ? x.b : y.b, x.c > y.c ? x.c : y.c,
          x.d > y.d ? x.d : y.d};
}
LANES F min_f(F x, F y) {
  return {x.a < y.a ? x.a : y.a, x.b < y.b ? x.b : y.b, x.c < y.c ? x.c : y.c,
          x.d < y.d ? x.d : y.d};
}
// Returns all ones where x < y.
LANES I less_f(F x, F y) {
  return _mm_setr_epi32(x.a < y.a ? -1 : 0, x.b < y.b ? -1 : 0, x.c < y.c ? -1 : 0,
                        x.d < y.d ? -1 : 0);
}
LANES float first_lane(F v) {
  return v.a;
}
LANES u32 highest_u32(I v) {
  I m = max_u32(v, _mm_shuffle_epi32(v, 0x4e));
  m = max_u32(m, _mm_shuffle_epi32(m, 0xb1));
  return static_cast<u32>(_mm_cvtsi128_si32(m));
}
LANES float highest_f(F v) {
  F pair = max_f(v, {v.c, v.d, v.c, v.d});
  return max_f(pair, {pair.b, pair.b, pair.b, pair.b}).a;
}

constexpr u32 kWideOffset = 0;

template <bool wide>
LANES Partial mac(Partial sum, I weights, Spread activations) {
  I even = wide ? even_bytes(weights) : and_i(weights, set_i32(0x00ff00ff));
  I odd = wide ? odd_bytes(weights) : _mm_srli_epi16(weights, 8);
  sum = _mm_add_epi16(sum, _mm_mullo_epi16(even, activations.even));
  return _mm_add_epi16(sum, _mm_mullo_epi16(odd, activations.odd));
}
// Returns signed byte `i` of each lane in the form that fold_scaled() needs: twice, as 16-bit
// numbers.
template <u32 i>
LANES I scale_of(I bytes) {
  I at_top = bytes;
  if constexpr (i < 3) at_top = _mm_slli_epi32(bytes, 24 - 8 * static_cast<int>(i));
  I high = and_i(_mm_srai_epi16(at_top, 8), set_i32(0xffff0000u));
  return or_i(high, _mm_srli_epi32(high, 16));
}
// Returns signed bytes 2i and 2i + 1 of each lane as two 16-bit numbers.
template <u32 i>
LANES I pair_of(I bytes) {
  I low = bytes;
  if constexpr (i == 1) low = _mm_srli_epi32(bytes, 16);
  I second = and_i(_mm_srai_epi16(_mm_slli_epi32(low, 16), 8), set_i32(0xffff0000u));
  return or_i(and_i(even_bytes(low), set_i32(0x0000ffff)), second);
}
}  // namespace ai::sse2
