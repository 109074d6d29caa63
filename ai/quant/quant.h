// SPDX-License-Identifier: GPL-2.0-or-later
// Reference arithmetic of the weight types: one block into integers, rows into floats, activations
// into int8. Spelled for reading; SIMD tables must give the same bits.
#pragma once

#include "ai/quant/blocks.h"
#include "ai/tensor.h"

namespace ai {

// What a block says, in the terms its format is defined in:
//   weight k = d * scale[k / sub_block] * q[k] - dmin * minimum[k / sub_block]
// Formats of 32 weights have scale 1; Q4_1's and Q5_1's m is dmin = -m with minimum 1.
struct BlockIntegers {
  float d = 0, dmin = 0;
  u32 sub_block = 32;
  bool has_minimum = false;  // by the format, not by the numbers
  i16 scale[16];
  i16 minimum[16];
  i8 q[256];
};

// `block` points at one block of `type`, which is not a float type.
void split_block(QuantType type, const Byte* block, BlockIntegers& out);

// `count` weights (a multiple of the type's block) from plain, not interleaved, blocks.
void dequantize(QuantType type, const Byte* blocks, float* out, usize count);

// Bytes of `n` activations as the products of the type want them, rounded up to 64.
// n is a multiple of the activation's block: 1, 32 or 256.
usize activation_bytes(ActivationType type, usize n);
u32 activation_block(ActivationType type);

void quantize_f32(const float* in, void* out, u32 n);  // a copy
void quantize_q8x32(const float* in, void* out, u32 n);
void quantize_q8x256(const float* in, void* out, u32 n);

}  // namespace ai
