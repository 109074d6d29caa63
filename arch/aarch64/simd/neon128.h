// SPDX-License-Identifier: GPL-2.0-or-later
// The primitives that NEON with and without its dot product share: four registers hold a group of
// 16 rows. Included by neon.h and neon_dotprod.h inside their namespace, after LANES.

using I = int32x4_t;
using F = float32x4_t;

constexpr u32 kLanes = 4, kParts = 4, kRegisters = 32;
constexpr u32 kFloatRows = 2;
constexpr u32 kPrefetchBytes = 4096;
constexpr u32 kWideOffset = 0;  // signed bytes multiply as they are
constexpr int kZ = 0x80;        // out of the range of TBL: gives zero

LANES uint8x16_t bytes_of(I v) {
  return vreinterpretq_u8_s32(v);
}
LANES int8x16_t signed_bytes_of(I v) {
  return vreinterpretq_s8_s32(v);
}
LANES uint16x8_t halves_of(I v) {
  return vreinterpretq_u16_s32(v);
}
LANES I of_bytes(uint8x16_t v) {
  return vreinterpretq_s32_u8(v);
}
LANES I of_words(uint32x4_t v) {
  return vreinterpretq_s32_u32(v);
}
LANES uint32x4_t words_of(I v) {
  return vreinterpretq_u32_s32(v);
}

LANES I load_i(const void* at) {
  return of_bytes(vld1q_u8(static_cast<const u8*>(at)));
}
LANES void store_i(void* at, I v) {
  vst1q_u8(static_cast<u8*>(at), bytes_of(v));
}
LANES F load_f(const float* at) {
  return vld1q_f32(at);
}
LANES void store_f(float* at, F v) {
  vst1q_f32(at, v);
}
LANES I set_i8(u8 v) {
  return of_bytes(vdupq_n_u8(v));
}
LANES I set_i32(u32 v) {
  return of_words(vdupq_n_u32(v));
}
LANES F set_f(float v) {
  return vdupq_n_f32(v);
}
LANES I broadcast(const void* four_bytes) {
  u32 word;
  __builtin_memcpy(&word, four_bytes, 4);
  return of_words(vdupq_n_u32(word));
}
LANES F load_f16(const void* at) {
  return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(static_cast<const u8*>(at))));
}
LANES uint8x8_t load_four(const void* at) {
  u32 word;
  __builtin_memcpy(&word, at, 4);
  return vreinterpret_u8_u32(vdup_n_u32(word));
}
LANES I load_u8_lanes(const void* at) {
  return of_words(vmovl_u16(vget_low_u16(vmovl_u8(load_four(at)))));
}
LANES I load_i8_lanes(const void* at) {
  return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(load_four(at)))));
}
LANES I load_u16_lanes(const void* at) {
  return of_words(vmovl_u16(vreinterpret_u16_u8(vld1_u8(static_cast<const u8*>(at)))));
}
// The low byte of each lane.
LANES void store_i8_lanes(void* at, I v) {
  int16x4_t halves = vmovn_s32(v);
  int8x8_t bytes = vmovn_s16(vcombine_s16(halves, halves));
  u32 word = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
  __builtin_memcpy(at, &word, 4);
}

LANES I and_i(I a, I b) {
  return vandq_s32(a, b);
}
LANES I or_i(I a, I b) {
  return vorrq_s32(a, b);
}
LANES I xor_i(I a, I b) {
  return veorq_s32(a, b);
}
LANES I andnot_i(I not_this, I b) {
  return vbicq_s32(b, not_this);
}
LANES I add_i32(I a, I b) {
  return vaddq_s32(a, b);
}
LANES I sub_i32(I a, I b) {
  return vsubq_s32(a, b);
}
LANES I sub_i8(I a, I b) {
  return of_bytes(vsubq_u8(bytes_of(a), bytes_of(b)));
}
LANES I max_u32(I a, I b) {
  return of_words(vmaxq_u32(words_of(a), words_of(b)));
}
LANES I equal_i32(I a, I b) {
  return of_words(vceqq_s32(a, b));
}
LANES I greater_i32(I a, I b) {
  return of_words(vcgtq_s32(a, b));
}
// All ones in the bytes of `a` that have the one bit of `b`.
LANES I test_i8(I a, I b) {
  return of_bytes(vtstq_u8(bytes_of(a), bytes_of(b)));
}
// Left by `by` bits in 16-bit lanes; right when negative.
template <int by>
LANES I shift_i16(I v) {
  if constexpr (by > 0) return vreinterpretq_s32_u16(vshlq_n_u16(halves_of(v), by));
  if constexpr (by < 0) return vreinterpretq_s32_u16(vshrq_n_u16(halves_of(v), -by));
  return v;
}
template <int by>
LANES I shift_i32(I v) {
  return vshlq_n_s32(v, by);
}
// Bytes of each 32-bit lane by number, kZ = zero.
constexpr u32 pick_byte(u32 lane, u32 byte) {
  return byte == kZ ? kZ : 4 * lane + byte;
}
constexpr u64 pick_word(u32 lane, u32 a, u32 b, u32 c, u32 d) {
  return pick_byte(lane, a) | pick_byte(lane, b) << 8 | pick_byte(lane, c) << 16 |
         pick_byte(lane, d) << 24;
}
template <int a, int b, int c, int d>
LANES I pick(I v) {
  constexpr u64 kLow = pick_word(0, a, b, c, d) | pick_word(1, a, b, c, d) << 32;
  constexpr u64 kHigh = pick_word(2, a, b, c, d) | pick_word(3, a, b, c, d) << 32;
  uint8x16_t index = vcombine_u8(vcreate_u8(kLow), vcreate_u8(kHigh));
  return of_bytes(vqtbl1q_u8(bytes_of(v), index));
}
LANES I look_up(const i8* table16, I index) {
  return of_bytes(vqtbl1q_u8(vld1q_u8(reinterpret_cast<const u8*>(table16)), bytes_of(index)));
}

LANES F to_f(I v) {
  return vcvtq_f32_s32(v);
}
LANES F as_f(I v) {
  return vreinterpretq_f32_s32(v);
}
LANES I as_i(F v) {
  return vreinterpretq_s32_f32(v);
}
LANES F add_f(F a, F b) {
  return vaddq_f32(a, b);
}
LANES F sub_f(F a, F b) {
  return vsubq_f32(a, b);
}
LANES F mul_f(F a, F b) {
  return vmulq_f32(a, b);
}
LANES F div_f(F a, F b) {
  return vdivq_f32(a, b);
}
// b where either is NaN.
LANES F max_f(F a, F b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
LANES F min_f(F a, F b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
// All ones where a < b.
LANES I less_f(F a, F b) {
  return of_words(vcltq_f32(a, b));
}
LANES float square_root(float v) {
  return vget_lane_f32(vsqrt_f32(vdup_n_f32(v)), 0);
}
LANES float first_lane(F v) {
  return vgetq_lane_f32(v, 0);
}
LANES u32 highest_u32(I v) {
  return vmaxvq_u32(words_of(v));
}
LANES i32 sum_i32(I v) {
  return vaddvq_s32(v);
}
LANES float highest_f(F v) {
  return vmaxvq_f32(v);
}

template <u32 bytes>
LANES void prefetch(const Byte* at) {
  UNROLL for (u32 i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
}
LANES void leave() {}

// Signed byte `i` of each lane.
template <u32 i>
LANES I scale_of(I bytes) {
  if constexpr (i == 3)
    return vshrq_n_s32(bytes, 24);
  else
    return vshrq_n_s32(vshlq_n_s32(bytes, 24 - 8 * i), 24);
}
// Signed bytes 2i and 2i + 1 of each lane as two 16-bit numbers.
template <u32 i>
LANES I pair_of(I bytes) {
  I high = pick<kZ, 2 * i, kZ, 2 * i + 1>(bytes);
  return vreinterpretq_s32_s16(vshrq_n_s16(vreinterpretq_s16_s32(high), 8));
}
LANES I dot_pairs(I sum, I pairs, I activations) {
  int16x8_t a = vreinterpretq_s16_s32(pairs), b = vreinterpretq_s16_s32(activations);
  int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
  return vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(a, b)));
}
