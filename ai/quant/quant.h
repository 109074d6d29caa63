// SPDX-License-Identifier: GPL-2.0-or-later
// Reference arithmetic for the weight types: splits blocks into integers, converts rows to floats
// and activations to int8. It is written to be read; SIMD tables must give the same bits. The
// functions keep nothing: any thread or worker may call them, but no interrupt handler, which has
// no floats.
#pragma once

#include "ai/quant/blocks.h"
#include "ai/tensor.h"

namespace ai {

// The contents of a block, in the terms that define its format:
//   weight k = d * scale[k / sub_block] * q[k] - dmin * minimum[k / sub_block]
// Formats of 32 weights have scale 1. The m of Q4_1 and Q5_1 is dmin = -m with minimum 1.
struct BlockIntegers {
  float d = 0, dmin = 0;
  u32 sub_block = 32;
  bool has_minimum = false;  // a property of the format, not of the numbers
  i16 scale[16];
  i16 minimum[16];
  i8 q[256];
};

// `block` points to one block of `type`, which is not a float type.
void split_block(QuantType type, const Byte* block, BlockIntegers& out);

// Converts `count` weights, a multiple of the type's block, from ordinary blocks.
void dequantize(QuantType type, const Byte* blocks, float* out, usize count);

// Returns the bytes of `n` activations in the form that products need, rounded up to 64. n is a
// multiple of the activation's block: 1, 32 or 256.
usize activation_bytes(ActivationType type, usize n);
u32 activation_block(ActivationType type);

void quantize_f32(const float* in, void* out, u32 n);  // a copy
void quantize_q8x32(const float* in, void* out, u32 n);
void quantize_q8x256(const float* in, void* out, u32 n);

}  // namespace ai
