// SPDX-License-Identifier: GPL-2.0-or-later
// Computes the sizes of a KV page and writes one position into it.
#include <algorithm>
#include <cstring>

#include "ai/attention/attend.h"
#include "ai/math/four.h"
#include "ai/quant/half.h"
#include "ai/quant/quant.h"
#include "kernel/base/bytes.h"

namespace ai {
namespace {

constexpr u32 kKeyBlockBytes = 64 + 8 * 64;  // q8: 16 scales, 32 dimensions of 16 positions
constexpr u32 kValueBlockBytes = 4 + 32;     // q8: scale, 32 dimensions

u32 blocks_of(u32 width) {
  return (width + 31) / 32;
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

// Quantizes block b of a head's vector, with zeros past its end.
ActivationQ8x32 quantize_part(const float* in, u32 width, u32 b) {
  float part[32] = {};
  std::copy(in + 32 * b, in + std::min(width, 32 * b + 32), part);
  ActivationQ8x32 block;
  quantize_q8x32(part, &block, 32);
  return block;
}

void store_key_q8(Byte* vector, u32 width, u32 lane, const float* key) {
  for (u32 b = 0; b < blocks_of(width); b++, vector += kKeyBlockBytes) {
    ActivationQ8x32 block = quantize_part(key, width, b);
    base::store(vector + 4 * lane, block.scale);
    for (u32 d = 0; d < 32; d++)
      vector[64 + d / 4 * 64 + lane * 4 + d % 4] = static_cast<Byte>(block.q[d] + 128);
  }
}

}  // namespace

usize key_bytes(KvType type, u32 key_width) {
  usize vector =
      type == KvType::kF16 ? usize{key_width} * 32 : usize{blocks_of(key_width)} * kKeyBlockBytes;
  return kPagePositions / 16 * vector;
}

usize value_bytes(KvType type, u32 value_width) {
  usize position = type == KvType::kF16 ? base::round_up(value_width, 16) * 2
                                        : usize{blocks_of(value_width)} * kValueBlockBytes;
  return kPagePositions * position;
}

usize kv_page_bytes(KvType type, u32 key_width, u32 value_width) {
  return base::round_up(key_bytes(type, key_width) + value_bytes(type, value_width), 64);
}

void store_key(KvType type, Byte* page, u32 key_width, u32 position, const float* key) {
  u32 lane = position % 16;
  Byte* vector = page + position / 16 * (key_bytes(type, key_width) / (kPagePositions / 16));
  if (type == KvType::kQ8) return store_key_q8(vector, key_width, lane, key);
  store_halves<32>(vector + 2 * lane, key, key_width);
}

void store_value(KvType type, Byte* page, u32 key_width, u32 value_width, u32 position,
                 const float* value) {
  Byte* at = page + key_bytes(type, key_width) +
             position * (value_bytes(type, value_width) / kPagePositions);
  if (type == KvType::kF16) {
    store_halves<2>(at, value, value_width);
    std::memset(at + 2 * value_width, 0, 2 * (base::round_up(value_width, 16) - value_width));
    return;
  }
  for (u32 b = 0; b < blocks_of(value_width); b++, at += kValueBlockBytes) {
    ActivationQ8x32 block = quantize_part(value, value_width, b);
    base::store(at, block.scale);
    std::memcpy(at + 4, block.q, 32);
  }
}

}  // namespace ai
