// SPDX-License-Identifier: GPL-2.0-or-later
// The blocks of every weight type as a GGUF file has them, and the blocks of activations that they
// are multiplied with. All fields are little-endian; an "f16" is the bits of an IEEE half.
#pragma once

#include "kernel/base/types.h"

namespace ai {

// Each float is a block of its own.
using BlockF32 = float;
using BlockF16 = u16;
using BlockBF16 = u16;

// Blocks of 32 weights. Of packed nibbles, the low ones are weights 0..15, the high ones 16..31.
struct BlockQ4_0 {  // d * (q - 8)
  u16 d;            // f16
  u8 qs[16];
};
struct BlockQ4_1 {  // d * q + m
  u16 d, m;         // f16
  u8 qs[16];
};
struct BlockQ5_0 {  // d * (q - 16)
  u16 d;
  u8 qh[4];  // bit i of the 32-bit number is the fifth bit of weight i
  u8 qs[16];
};
struct BlockQ5_1 {  // d * q + m
  u16 d, m;
  u8 qh[4];
  u8 qs[16];
};
struct BlockQ8_0 {  // d * q
  u16 d;
  i8 qs[32];
};
struct BlockIQ4_NL {  // d * kIq4Values[q]
  u16 d;
  u8 qs[16];
};
struct BlockMXFP4 {  // 2^(e - 128) * kMxfp4Values[q]
  u8 e;
  u8 qs[16];
};

// Superblocks of 256 weights.
struct BlockQ2_K {  // d * scale * q - dmin * min, 16 sub-blocks of 16
  u8 scales[16];    // low nibble scale, high nibble min
  u8 qs[64];        // two halves of 128 weights; weight 32 s + i of a half: bits 2s of byte i
  u16 d, dmin;
};
struct BlockQ3_K {  // d * (scale - 32) * (q - 4), 16 sub-blocks of 16
  u8 hmask[32];     // third bit of weight 32 j + i: bit j of byte i
  u8 qs[64];        // as in Q2_K
  u8 scales[12];    // 16 numbers of 6 bits: low nibbles in 0..7, high pairs in 8..11
  u16 d;
};
struct BlockQ4_K {  // d * scale * q - dmin * min, 8 sub-blocks of 32
  u16 d, dmin;
  u8 scales[12];  // 8 scales and 8 mins of 6 bits
  u8 qs[128];     // four runs of 32 bytes: low nibbles one sub-block, high nibbles the next
};
struct BlockQ5_K {  // as Q4_K with a fifth bit
  u16 d, dmin;
  u8 scales[12];
  u8 qh[32];  // fifth bit of weight 32 j + i: bit j of byte i
  u8 qs[128];
};
struct BlockQ6_K {  // d * scale * (q - 32), 16 sub-blocks of 16
  u8 ql[128];       // low four bits: a half's weights 0..63 in low, 64..127 in high nibbles
  u8 qh[64];        // high two bits: weight 32 s + i of a half: bits 2s of byte i
  i8 scales[16];
  u16 d;
};
struct BlockIQ4_XS {  // d * (scale - 32) * kIq4Values[q], 8 sub-blocks of 32
  u16 d;
  u16 scales_h;    // high two bits of scale j at 2j
  u8 scales_l[4];  // low four bits, two a byte
  u8 qs[128];      // 16 bytes a sub-block, nibbles as in Q4_0
};
struct BlockTQ1_0 {  // d * (q - 1); q is a digit to the base 3
  // Digit n of a byte: 3 * (byte * 3^n mod 256) / 256. In qs[0..31] byte i has weights i + 32 n, in
  // qs[32..47] byte 32 + i has weights 160 + i + 16 n; qh[i] has four: 240 + i + 4 n.
  u8 qs[48], qh[4];
  u16 d;
};
struct BlockTQ2_0 {  // d * (q - 1)
  u8 qs[64];         // as in Q2_K
  u16 d;
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20);
static_assert(sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34);
static_assert(sizeof(BlockIQ4_NL) == 18 && sizeof(BlockMXFP4) == 17);
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_XS) == 136);
static_assert(sizeof(BlockTQ1_0) == 54 && sizeof(BlockTQ2_0) == 66);

// The levels of non-linear four-bit weights.
constexpr i8 kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
// E2M1 doubled, so that they are integers: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives.
constexpr i8 kMxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Activations: x is about scale * q, q in [-127, 127] (wiki/Numerics, rule 3).
struct ActivationQ8x32 {
  i8 q[32];
  float scale;
  float weighted_sum;  // scale * float(sum); multiplied with the m of Q4_1 and Q5_1
  i32 sum;             // sum of q; removes the offset of unsigned weights exactly
};
struct alignas(64) ActivationQ8x256 {
  i8 q[256];
  i16 sums16[16];  // sum of each 16 values
  i16 sums32[8];   // sum of each 32 values
  float scale;
};
static_assert(sizeof(ActivationQ8x32) == 44 && sizeof(ActivationQ8x256) == 320);

}  // namespace ai
