// SPDX-License-Identifier: GPL-2.0-or-later
// The primitives of 256-bit registers that AVX2 and AVX-VNNI share: two registers hold a group of
// 16 rows. Included by avx2.h and avx_vnni.h inside their namespace, after LANES.

using I = __m256i;
using F = __m256;
using Partial = __m256i;

constexpr u32 kLanes = 8, kParts = 2, kRegisters = 16;
constexpr u32 kWidestTile = 4;  // 4 partial, 4 integer and 4 float sums, weights, a broadcast
constexpr u32 kFloatRows = 2;
constexpr u32 kPrefetchBytes = 9216;
constexpr int kZ = 0x80;

LANES I load_i(const void* at) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(at));
}
LANES void store_i(void* at, I v) {
  _mm256_storeu_si256(static_cast<__m256i*>(at), v);
}
LANES F load_f(const float* at) {
  return _mm256_loadu_ps(at);
}
LANES void store_f(float* at, F v) {
  _mm256_storeu_ps(at, v);
}
LANES I set_i8(u8 v) {
  return _mm256_set1_epi8(static_cast<char>(v));
}
LANES I set_i32(u32 v) {
  return _mm256_set1_epi32(static_cast<int>(v));
}
LANES F set_f(float v) {
  return _mm256_set1_ps(v);
}
LANES I broadcast(const void* four_bytes) {
  int word;
  __builtin_memcpy(&word, four_bytes, 4);
  return _mm256_set1_epi32(word);
}
LANES F load_f16(const void* at) {
  return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}
LANES I load_u8_lanes(const void* at) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(at)));
}
LANES I load_i8_lanes(const void* at) {
  return _mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(at)));
}
LANES I load_u16_lanes(const void* at) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(at)));
}

LANES I and_i(I a, I b) {
  return _mm256_and_si256(a, b);
}
LANES I or_i(I a, I b) {
  return _mm256_or_si256(a, b);
}
LANES I xor_i(I a, I b) {
  return _mm256_xor_si256(a, b);
}
LANES I andnot_i(I not_this, I b) {
  return _mm256_andnot_si256(not_this, b);
}
LANES I add_i32(I a, I b) {
  return _mm256_add_epi32(a, b);
}
LANES I sub_i32(I a, I b) {
  return _mm256_sub_epi32(a, b);
}
LANES I sub_i8(I a, I b) {
  return _mm256_sub_epi8(a, b);
}
LANES I max_u32(I a, I b) {
  return _mm256_max_epu32(a, b);
}
LANES I equal_i32(I a, I b) {
  return _mm256_cmpeq_epi32(a, b);
}
LANES I greater_i32(I a, I b) {
  return _mm256_cmpgt_epi32(a, b);
}
// All ones in the bytes of `a` that have the one bit of `b`.
LANES I test_i8(I a, I b) {
  return _mm256_cmpeq_epi8(_mm256_and_si256(a, b), b);
}
// Left by `by` bits in 16-bit lanes; right when negative.
template <int by>
LANES I shift_i16(I v) {
  if constexpr (by > 0) return _mm256_slli_epi16(v, by);
  if constexpr (by < 0) return _mm256_srli_epi16(v, -by);
  return v;
}
template <int by>
LANES I shift_i32(I v) {
  return _mm256_slli_epi32(v, by);
}
// Bytes of each 32-bit lane by number, kZ = zero. VPSHUFB counts within 128 bits.
constexpr int pick_byte(int lane, int byte) {
  return byte == kZ ? kZ : 4 * lane + byte;
}
constexpr int pick_word(int lane, int a, int b, int c, int d) {
  return static_cast<int>(
      static_cast<u32>(pick_byte(lane, a)) | static_cast<u32>(pick_byte(lane, b)) << 8 |
      static_cast<u32>(pick_byte(lane, c)) << 16 | static_cast<u32>(pick_byte(lane, d)) << 24);
}
template <int a, int b, int c, int d>
LANES I pick(I v) {
  constexpr int k0 = pick_word(0, a, b, c, d), k1 = pick_word(1, a, b, c, d);
  constexpr int k2 = pick_word(2, a, b, c, d), k3 = pick_word(3, a, b, c, d);
  return _mm256_shuffle_epi8(v, _mm256_setr_epi32(k0, k1, k2, k3, k0, k1, k2, k3));
}
LANES I look_up(const i8* table16, I index) {
  __m128i table = _mm_load_si128(reinterpret_cast<const __m128i*>(table16));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), index);
}
// The low byte of each lane.
LANES void store_i8_lanes(void* at, I v) {
  I bytes =
      _mm256_shuffle_epi8(v, _mm256_setr_epi32(0x0c080400, -1, -1, -1, 0x0c080400, -1, -1, -1));
  int low = _mm_cvtsi128_si32(_mm256_castsi256_si128(bytes));
  int high = _mm_cvtsi128_si32(_mm256_extracti128_si256(bytes, 1));
  __builtin_memcpy(at, &low, 4);
  __builtin_memcpy(static_cast<Byte*>(at) + 4, &high, 4);
}

LANES F to_f(I v) {
  return _mm256_cvtepi32_ps(v);
}
LANES F as_f(I v) {
  return _mm256_castsi256_ps(v);
}
LANES I as_i(F v) {
  return _mm256_castps_si256(v);
}
LANES F add_f(F a, F b) {
  return _mm256_add_ps(a, b);
}
LANES F sub_f(F a, F b) {
  return _mm256_sub_ps(a, b);
}
LANES F mul_f(F a, F b) {
  return _mm256_mul_ps(a, b);
}
LANES F div_f(F a, F b) {
  return _mm256_div_ps(a, b);
}
// b where either is NaN.
LANES F max_f(F a, F b) {
  return _mm256_max_ps(a, b);
}
LANES F min_f(F a, F b) {
  return _mm256_min_ps(a, b);
}
// All ones where a < b.
LANES I less_f(F a, F b) {
  return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
LANES float square_root(float v) {
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(v)));
}
LANES float first_lane(F v) {
  return _mm256_cvtss_f32(v);
}
LANES u32 highest_u32(I v) {
  __m128i m = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
  m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
  return static_cast<u32>(_mm_cvtsi128_si32(m));
}
LANES i32 sum_i32(I v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
  return _mm_cvtsi128_si32(s);
}
LANES float highest_f(F v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_shuffle_ps(m, m, 0x4e));
  m = _mm_max_ps(m, _mm_shuffle_ps(m, m, 0xb1));
  return _mm_cvtss_f32(m);
}

template <u32 bytes>
LANES void prefetch(const Byte* at) {
  UNROLL for (u32 i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
}
LANES void leave() {
  _mm256_zeroupper();
}

// Signed bytes 2i and 2i + 1 of each lane as two 16-bit numbers.
template <u32 i>
LANES I pair_of(I bytes) {
  return _mm256_srai_epi16(pick<kZ, 2 * i, kZ, 2 * i + 1>(bytes), 8);
}
