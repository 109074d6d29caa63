// SPDX-License-Identifier: GPL-2.0-or-later
// Decodes the bits of each format. The layouts follow the definition of the GGUF formats in ggml.
#include <algorithm>
#include <cstring>

#include "ai/quant/half.h"
#include "ai/quant/quant.h"

namespace ai {
namespace {

template <class Block>
Block load_block(const Byte* at) {
  Block block;
  std::memcpy(&block, at, sizeof block);
  return block;
}

void set_plain_scales(BlockIntegers& out) {
  out.sub_block = 32;
  out.scale[0] = 1;
  out.minimum[0] = 0;
}

void set_minimum(BlockIntegers& out, u16 m) {
  out.dmin = -f16_to_f32(m);
  out.minimum[0] = 1;
  out.has_minimum = true;
}

// Splits the nibbles of 32 weights, low ones first.
template <class Map>
void split_nibbles(const u8* qs, i8* q, Map map) {
  for (u32 i = 0; i < 16; i++) {
    q[i] = map(qs[i] & 15, i);
    q[i + 16] = map(qs[i] >> 4, i + 16);
  }
}

void split(const BlockQ4_0& b, BlockIntegers& out) {
  set_plain_scales(out);
  out.d = f16_to_f32(b.d);
  split_nibbles(b.qs, out.q, [](int n, u32) { return static_cast<i8>(n - 8); });
}

void split(const BlockQ4_1& b, BlockIntegers& out) {
  set_plain_scales(out);
  out.d = f16_to_f32(b.d);
  set_minimum(out, b.m);
  split_nibbles(b.qs, out.q, [](int n, u32) { return static_cast<i8>(n); });
}

int fifth_bit(const u8 (&qh)[4], u32 i) {
  return (qh[i / 8] >> (i % 8) & 1) << 4;
}

void split(const BlockQ5_0& b, BlockIntegers& out) {
  set_plain_scales(out);
  out.d = f16_to_f32(b.d);
  split_nibbles(b.qs, out.q,
                [&](int n, u32 i) { return static_cast<i8>((n | fifth_bit(b.qh, i)) - 16); });
}

void split(const BlockQ5_1& b, BlockIntegers& out) {
  set_plain_scales(out);
  out.d = f16_to_f32(b.d);
  set_minimum(out, b.m);
  split_nibbles(b.qs, out.q, [&](int n, u32 i) { return static_cast<i8>(n | fifth_bit(b.qh, i)); });
}

void split(const BlockQ8_0& b, BlockIntegers& out) {
  set_plain_scales(out);
  out.d = f16_to_f32(b.d);
  std::memcpy(out.q, b.qs, 32);
}

void split(const BlockIQ4_NL& b, BlockIntegers& out) {
  set_plain_scales(out);
  out.d = f16_to_f32(b.d);
  split_nibbles(b.qs, out.q, [](int n, u32) { return kIq4Values[n]; });
}

void split(const BlockMXFP4& b, BlockIntegers& out) {
  set_plain_scales(out);
  out.d = e8m0_half_to_f32(b.e);
  split_nibbles(b.qs, out.q, [](int n, u32) { return kMxfp4Values[n]; });
}

// Returns the two bits of weight k, as Q2_K and Q3_K pack them.
int two_bits(const u8 (&qs)[64], u32 k) {
  return qs[k / 128 * 32 + k % 32] >> (k % 128 / 32 * 2) & 3;
}

void split(const BlockQ2_K& b, BlockIntegers& out) {
  out.sub_block = 16;
  out.d = f16_to_f32(b.d);
  out.dmin = f16_to_f32(b.dmin);
  out.has_minimum = true;
  for (u32 j = 0; j < 16; j++) {
    out.scale[j] = b.scales[j] & 15;
    out.minimum[j] = b.scales[j] >> 4;
  }
  for (u32 k = 0; k < 256; k++) out.q[k] = static_cast<i8>(two_bits(b.qs, k));
}

void split(const BlockQ3_K& b, BlockIntegers& out) {
  out.sub_block = 16;
  out.d = f16_to_f32(b.d);
  for (u32 j = 0; j < 16; j++) {
    int low = j < 8 ? b.scales[j] & 15 : b.scales[j - 8] >> 4;
    int high = b.scales[8 + j % 4] >> (j / 4 * 2) & 3;
    out.scale[j] = static_cast<i16>((low | high << 4) - 32);
    out.minimum[j] = 0;
  }
  for (u32 k = 0; k < 256; k++) {
    int third = b.hmask[k % 32] >> (k / 32) & 1;
    out.q[k] = static_cast<i8>((two_bits(b.qs, k) | third << 2) - 4);
  }
}

// Splits the 6-bit scales and mins of Q4_K and Q5_K.
void split_scales(const u8 (&s)[12], BlockIntegers& out) {
  out.sub_block = 32;
  for (u32 j = 0; j < 4; j++) {
    out.scale[j] = s[j] & 63;
    out.minimum[j] = s[j + 4] & 63;
    out.scale[j + 4] = static_cast<i16>((s[j + 8] & 15) | s[j] >> 6 << 4);
    out.minimum[j + 4] = static_cast<i16>(s[j + 8] >> 4 | s[j + 4] >> 6 << 4);
  }
}

// Returns the four bits of weight k of Q4_K and Q5_K.
int four_bits(const u8 (&qs)[128], u32 k) {
  return qs[k / 64 * 32 + k % 32] >> (k % 64 / 32 * 4) & 15;
}

void split(const BlockQ4_K& b, BlockIntegers& out) {
  split_scales(b.scales, out);
  out.d = f16_to_f32(b.d);
  out.dmin = f16_to_f32(b.dmin);
  out.has_minimum = true;
  for (u32 k = 0; k < 256; k++) out.q[k] = static_cast<i8>(four_bits(b.qs, k));
}

void split(const BlockQ5_K& b, BlockIntegers& out) {
  split_scales(b.scales, out);
  out.d = f16_to_f32(b.d);
  out.dmin = f16_to_f32(b.dmin);
  out.has_minimum = true;
  for (u32 k = 0; k < 256; k++) {
    int fifth = b.qh[k % 32] >> (k / 32) & 1;
    out.q[k] = static_cast<i8>(four_bits(b.qs, k) | fifth << 4);
  }
}

void split(const BlockQ6_K& b, BlockIntegers& out) {
  out.sub_block = 16;
  out.d = f16_to_f32(b.d);
  for (u32 j = 0; j < 16; j++) {
    out.scale[j] = b.scales[j];
    out.minimum[j] = 0;
  }
  for (u32 k = 0; k < 256; k++) {
    int low = b.ql[k / 128 * 64 + k % 64] >> (k % 128 / 64 * 4) & 15;
    int high = two_bits(b.qh, k);
    out.q[k] = static_cast<i8>((low | high << 4) - 32);
  }
}

void split(const BlockIQ4_XS& b, BlockIntegers& out) {
  out.sub_block = 32;
  out.d = f16_to_f32(b.d);
  for (u32 j = 0; j < 8; j++) {
    int low = b.scales_l[j / 2] >> (j % 2 * 4) & 15;
    int high = b.scales_h >> (2 * j) & 3;
    out.scale[j] = static_cast<i16>((low | high << 4) - 32);
    out.minimum[j] = 0;
    split_nibbles(b.qs + 16 * j, out.q + 32 * j, [](int n, u32) { return kIq4Values[n]; });
  }
}

// All weights of a superblock have the scale d.
void set_one_scale(BlockIntegers& out, u16 d) {
  out.sub_block = 32;
  out.d = f16_to_f32(d);
  std::fill_n(out.scale, 8, i16{1});
  std::fill_n(out.minimum, 8, i16{0});
}

// Returns digit n of byte / 256, written to the base 3.
int digit_of(u8 byte, u32 n) {
  u32 rest = byte;
  for (; n > 0; n--) rest = rest * 3 & 255;
  return static_cast<int>(rest * 3 >> 8);
}

void split(const BlockTQ1_0& b, BlockIntegers& out) {
  set_one_scale(out, b.d);
  for (u32 k = 0; k < 160; k++) out.q[k] = static_cast<i8>(digit_of(b.qs[k % 32], k / 32) - 1);
  for (u32 k = 0; k < 80; k++)
    out.q[160 + k] = static_cast<i8>(digit_of(b.qs[32 + k % 16], k / 16) - 1);
  for (u32 k = 0; k < 16; k++) out.q[240 + k] = static_cast<i8>(digit_of(b.qh[k % 4], k / 4) - 1);
}

void split(const BlockTQ2_0& b, BlockIntegers& out) {
  set_one_scale(out, b.d);
  for (u32 k = 0; k < 256; k++) out.q[k] = static_cast<i8>(two_bits(b.qs, k) - 1);
}

template <class Block>
void split_at(const Byte* at, BlockIntegers& out) {
  split(load_block<Block>(at), out);
}

using Split = void (*)(const Byte*, BlockIntegers&);
constexpr Split kSplits[] = {
#define FORMAT_FLOAT(...) nullptr,  // float types have no blocks
#define FORMAT(name, ...) split_at<Block##name>,
#include "ai/quant/formats.def"
};

float load_float(QuantType type, const Byte* at) {
  if (type == QuantType::kF32) return load_block<float>(at);
  u16 bits = load_block<u16>(at);
  return type == QuantType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

}  // namespace

void split_block(QuantType type, const Byte* block, BlockIntegers& out) {
  out.dmin = 0;
  out.has_minimum = false;
  kSplits[static_cast<usize>(type)](block, out);
}

void dequantize(QuantType type, const Byte* blocks, float* out, usize count) {
  const QuantInfo& info = quant_info(type);
  if (info.block_weights == 1) {
    for (usize i = 0; i < count; i++) out[i] = load_float(type, blocks + i * info.block_bytes);
    return;
  }
  BlockIntegers b;
  for (usize at = 0; at < count; at += info.block_weights, blocks += info.block_bytes) {
    split_block(type, blocks, b);
    for (u32 k = 0; k < info.block_weights; k++) {
      u32 j = k / b.sub_block;
      out[at + k] = b.d * static_cast<float>(b.scale[j]) * static_cast<float>(b.q[k]) -
                    b.dmin * static_cast<float>(b.minimum[j]);
    }
  }
}

}  // namespace ai
