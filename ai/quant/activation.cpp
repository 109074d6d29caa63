// SPDX-License-Identifier: GPL-2.0-or-later
// Quantizes activations to int8 (wiki/Numerics, rule 3): one division per block, a defined order,
// rounding half to even.
#include <algorithm>
#include <bit>
#include <cstring>

#include "ai/quant/quant.h"
#include "kernel/base/bytes.h"

namespace ai {
namespace {

// Adding 1.5 * 2^23 leaves the integer, rounded half to even, in the low mantissa bits. |x| is at
// most 127 here, well inside the +-2^22 for which this holds.
i32 round_half_even(float x) {
  constexpr float kMagic = 12582912.0f;
  float shifted = x + kMagic;
  i32 bits = std::bit_cast<i32>(shifted);
  return bits - std::bit_cast<i32>(kMagic);
}

// Quantizes `count` numbers to q and returns the scale, which is 0 for a block of zeros.
float quantize_block(const float* in, i8* q, u32 count) {
  // Finds the largest magnitude by comparing bits, which have the same order as the numbers. A NaN
  // compares above them all, so it reaches the logits and is reported there.
  u32 largest = 0;
  for (u32 i = 0; i < count; i++)
    largest = std::max(largest, std::bit_cast<u32>(in[i]) & 0x7fffffff);
  float scale = std::bit_cast<float>(largest) / 127.0f;
  float inverse = 1.0f / scale;
  if (scale < 0x1p-126f) scale = inverse = 0.0f;  // the reciprocal would overflow
  for (u32 i = 0; i < count; i++) q[i] = static_cast<i8>(round_half_even(in[i] * inverse));
  return scale;
}

}  // namespace

u32 activation_block(ActivationType type) {
  constexpr u32 kBlocks[] = {1, 32, 256};
  return kBlocks[static_cast<usize>(type)];
}

usize activation_bytes(ActivationType type, usize n) {
  constexpr usize kBytes[] = {sizeof(float), sizeof(ActivationQ8x32), sizeof(ActivationQ8x256)};
  return base::round_up(n / activation_block(type) * kBytes[static_cast<usize>(type)], 64);
}

void quantize_f32(const float* in, void* out, u32 n) {
  std::memcpy(out, in, n * sizeof(float));
}

void quantize_q8x32(const float* in, void* out, u32 n) {
  auto* blocks = static_cast<ActivationQ8x32*>(out);
  for (u32 b = 0; b < n / 32; b++) {
    ActivationQ8x32& block = blocks[b];
    block.scale = quantize_block(in + usize{32} * b, block.q, 32);
    block.sum = 0;
    for (i8 q : block.q) block.sum += q;
    block.weighted_sum = block.scale * static_cast<float>(block.sum);
  }
}

void quantize_q8x256(const float* in, void* out, u32 n) {
  auto* blocks = static_cast<ActivationQ8x256*>(out);
  for (u32 b = 0; b < n / 256; b++) {
    ActivationQ8x256& block = blocks[b];
    block.scale = quantize_block(in + usize{256} * b, block.q, 256);
    for (u32 j = 0; j < 16; j++) {
      i32 sum = 0;
      for (u32 k = 0; k < 16; k++) sum += block.q[16 * j + k];
      block.sums16[j] = static_cast<i16>(sum);
    }
    for (u32 j = 0; j < 8; j++)
      block.sums32[j] = static_cast<i16>(block.sums16[2 * j] + block.sums16[2 * j + 1]);
  }
}

}  // namespace ai
