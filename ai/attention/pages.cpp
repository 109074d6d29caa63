// SPDX-License-Identifier: GPL-2.0-or-later
// Computes the sizes of a KV page and writes one position into it.
#include <algorithm>
#include <bit>
#include <cstring>

#include "ai/attention/attend.h"
#include "ai/attention/rotate.h"
#include "ai/math/four.h"
#include "ai/quant/half.h"
#include "kernel/base/bytes.h"

namespace ai {
namespace {

constexpr u32 kBlock = 32;                                 // dimensions with a common scale
constexpr u32 kScaleBytes = kPagePositions * sizeof(u16);  // of one block
constexpr u32 kPlain = 16;                                 // bits of a number that is not quantized

u32 blocks_of(u32 width) {
  return (width + kBlock - 1) / kBlock;
}

// Returns the bytes of a page's quantized keys or values.
usize quantized_bytes(u32 bits, u32 width) {
  return usize{blocks_of(width)} * (kScaleBytes + kPagePositions * kBlock * bits / 8);
}

// Narrows four values like f32_to_f16: computes all of its cases and selects the one that applies.
FourWords narrow(FourFloats values) {
  auto bits = std::bit_cast<FourWords>(values);
  FourWords sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  FourWords half = (rest - (112 << 23) + 0xfff + (rest >> 13 & 1)) >> 13;
  FourFloats shifted = std::bit_cast<FourFloats>(rest) + 0.5f;
  half = rest < 0x38800000 ? std::bit_cast<FourWords>(shifted) - 0x3f000000 : half;
  half = rest >= 0x477ff000 ? FourWords{0x7c00, 0x7c00, 0x7c00, 0x7c00} : half;
  half = rest > 0x7f800000 ? (rest >> 13 & 0x3ff) | 0x7e00 : half;
  return sign | half;
}

// Stores n values as halves, `step` bytes apart.
template <usize step>
void store_halves(Byte* at, const float* values, u32 n) {
  u32 i = 0;
  for (; i + 4 <= n; i += 4) {
    FourWords four = narrow(four_at(values + i));
    for (u32 lane = 0; lane < 4; lane++) {
      auto half = static_cast<u16>(four[lane]);
      __builtin_memcpy(at + (i + lane) * step, &half, sizeof half);
    }
  }
  for (; i < n; i++) base::store(at + i * step, f32_to_f16(values[i]));
}

// 32 numbers of one position as they are stored, in order.
struct StoredBlock {
  u16 scale;
  u8 q[kBlock];
};

// Rounds a scale up to 16 bits, so that no number exceeds its range. A NaN stays one.
u16 upper_half(float scale) {
  u32 bits = std::bit_cast<u32>(scale);
  return static_cast<u16>(scale != scale ? 0x7fc0 : (bits + 0xffff) >> 16);
}

// Adding 1.5 * 2^23 leaves the integer, rounded half to even, in the low mantissa bits.
i32 rounded(float x) {
  constexpr float kMagic = 12582912.0f;
  return std::bit_cast<i32>(x + kMagic) - std::bit_cast<i32>(kMagic);
}

// x = scale * (q - 128), or scale * (2 q - 15), which has 16 steps without a zero.
StoredBlock quantize_block(u32 bits, const float* in) {
  u32 largest = 0;
  for (u32 i = 0; i < kBlock; i++)
    largest = std::max(largest, std::bit_cast<u32>(in[i]) & 0x7fffffff);
  float amax = std::bit_cast<float>(largest);
  StoredBlock block;
  block.scale = upper_half(bits == 8 ? amax / 127.0f : amax / 15.0f);
  float scale = std::bit_cast<float>(u32{block.scale} << 16);
  if (scale < 0x1p-100f) block.scale = 0;  // its reciprocal and products stay far from infinity
  float inverse = block.scale == 0 ? 0.0f : (bits == 8 ? 1.0f : 0.5f) / scale;
  for (u32 i = 0; i < kBlock; i++) {
    i32 q = bits == 8 ? rounded(in[i] * inverse) + 128 : rounded(in[i] * inverse + 7.5f);
    block.q[i] = static_cast<u8>(std::clamp(q, 0, bits == 8 ? 255 : 15));
  }
  return block;
}

// Calls put(block number, block) for a vector that is rotated and cut.
template <class Put>
void each_block(u32 bits, const float* vector, u32 width, Put&& put) {
  alignas(16) float turned[kMaxHeadWidth];
  std::copy_n(vector, width, turned);
  std::fill_n(turned + width, blocks_of(width) * kBlock - width, 0.0f);
  rotate(turned, width);
  for (u32 b = 0; b < blocks_of(width); b++) put(b, quantize_block(bits, turned + kBlock * b));
}

// Returns the byte of a word in which pair `odd` of the two has its first or second number.
constexpr u32 byte_of(u32 odd, u32 second) {
  return odd + 2 * second;
}

void store_key_quantized(u32 bits, Byte* keys, u32 width, u32 position, const float* key) {
  u32 vector = position / 16, lane = position % 16, blocks = blocks_of(width);
  Byte* words = keys + blocks * kScaleBytes + (usize{vector} * blocks * bits * 16 + lane) * 4;
  each_block(bits, key, width, [&](u32 b, const StoredBlock& block) {
    base::store(keys + b * kScaleBytes + 2 * position, block.scale);
    Byte* at = words + b * bits * 64;
    for (u32 pair = 0; pair < 16; pair++)
      for (u32 second = 0; second < 2; second++) {
        u8 q = block.q[pair + 16 * second];
        if (bits == 8) {
          at[pair / 2 * 64 + byte_of(pair % 2, second)] = q;
        } else if (pair % 2 == 0) {  // the next pair has the upper half of the byte
          u8 next = block.q[pair + 1 + 16 * second];
          at[pair / 4 * 64 + byte_of(pair / 2 % 2, second)] = static_cast<Byte>(q | next << 4);
        }
      }
  });
}

// A byte holds only numbers of its own position, because workers store several positions at once.
void store_value_quantized(u32 bits, Byte* values, u32 width, u32 position, const float* value) {
  u32 blocks = blocks_of(width), pair = position % 16, row = kBlock * bits / 8;  // words a row
  Byte* words =
      values + blocks * kScaleBytes + usize{pair} / 2 * row * 4 + byte_of(pair % 2, position / 16);
  each_block(bits, value, width, [&](u32 b, const StoredBlock& block) {
    base::store(values + b * kScaleBytes + 2 * position, block.scale);
    Byte* at = words + usize{b} * 8 * row * 4;
    for (u32 d = 0; d < row; d++)
      at[4 * d] = static_cast<Byte>(bits == 8 ? block.q[d] : block.q[d] | block.q[d + 16] << 4);
  });
}

}  // namespace

usize key_bytes(KvType type, u32 key_width) {
  u32 bits = kv_type_info(type).key_bits;
  return bits == kPlain ? usize{kPagePositions} * key_width * 2 : quantized_bytes(bits, key_width);
}

usize value_bytes(KvType type, u32 value_width) {
  u32 bits = kv_type_info(type).value_bits;
  return bits == kPlain ? kPagePositions * base::round_up(value_width, 16) * 2
                        : quantized_bytes(bits, value_width);
}

usize kv_page_bytes(KvType type, u32 key_width, u32 value_width) {
  return base::round_up(key_bytes(type, key_width) + value_bytes(type, value_width), 64);
}

void store_key(KvType type, Byte* page, u32 key_width, u32 position, const float* key) {
  u32 bits = kv_type_info(type).key_bits;
  if (bits != kPlain) return store_key_quantized(bits, page, key_width, position, key);
  Byte* vector = page + usize{position} / 16 * key_width * 32;
  store_halves<32>(vector + 2 * (position % 16), key, key_width);
}

void store_value(KvType type, Byte* page, u32 key_width, u32 value_width, u32 position,
                 const float* value) {
  u32 bits = kv_type_info(type).value_bits;
  Byte* values = page + key_bytes(type, key_width);
  if (bits != kPlain) return store_value_quantized(bits, values, value_width, position, value);
  usize padded = base::round_up(value_width, 16);
  Byte* at = values + position * padded * 2;
  store_halves<2>(at, value, value_width);
  std::memset(at + 2 * value_width, 0, 2 * (padded - value_width));
}

}  // namespace ai
