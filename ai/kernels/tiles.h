// SPDX-License-Identifier: GPL-2.0-or-later
// The loops around a product that every SIMD table shares: column chunks, groups, slices, tiles,
// the remainder group, the store. A table supplies the inner functions. Plain data only.
//
// Decode (batch 1, 2, and 4, 8 where the registers allow) reads a block column, unpacks it in
// registers and meets the activations at once. Other batches unpack a slice of a group into a
// buffer that stays in the first-level cache and run it against tile after tile of activations. The
// tiles ask for the weights of the next slice, each for its part, so that unpacking never waits for
// memory and the activations never for a miss buffer:
//
//   chunk of up to 128 columns   their activations stay in L2
//     group of 16 rows
//       slice of up to 17 KB     unpacked once, used 128 times
//         tile of up to 8        accumulators in registers
#pragma once

#include "ai/kernels/table.h"
#include "ai/quant/blocks.h"

namespace ai {

// A block column of 16 rows ready for dot products: [4 weights of 16 rows] side by side. `scale`
// and `pairs` are in the form that the table's own dot products take.
struct alignas(64) UnpackedColumn32 {
  Byte q[8][64];
  float d[16], m[16];
};
struct alignas(64) UnpackedColumn256 {
  Byte q[64][64];
  Byte scale[16][64];  // of a sub-block, 16 rows
  Byte pairs[8][64];   // mins (or scales, where weights have an offset) of two sub-blocks as i16
  float d[16], dmin[16];
};

constexpr u32 kTileSizes = 4;  // 1, 2, 4, 8 columns
constexpr u32 kChunkColumns = 128;
constexpr usize kChunkBytes =
    448 * 1024;  // of activations: what stays in a cache of 512 KB or more

// How many additions of up to `step` a signed sum of 16 bits takes before it must be widened; a
// power of two that divides a block column's eight. Of two products of 15 and 127: 8 (30480), of
// 31: 4 (31496), of 63: 2 (32004), of 128: 1 (32512).
constexpr u32 sums_in_16_bits(u32 step) {
  u32 most = 32767 / step, power = 1;
  while (power * 2 <= most && power < 8) power *= 2;
  return power;
}

// Cache lines that will be needed soon.
struct WantedLines {
  const Byte *at, *end;
};

struct TileSet {
  QuantType type;
  u32 unpacked_bytes;  // of a block column
  u32 slice;           // block columns unpacked at once
  u32 ahead;           // for `fused` where MatMul leaves the choice to the format
  // Entry i takes 2^i activation vectors, each `stride` bytes apart; null when the registers do not
  // hold that many. acc[2^i][16] += their products with `count` block columns.
  // Weights are asked for `ahead` bytes before they are used, unless that is 0.
  void (*fused[kTileSizes])(const Byte* columns, u32 count, const Byte* activations, usize stride,
                            float* acc, u32 ahead);
  void (*unpack)(const Byte* columns, u32 count, Byte* out);
  // `wanted` is asked for on the way.
  void (*tile[kTileSizes])(const Byte* unpacked, u32 count, const Byte* activations, usize stride,
                           float* acc, WantedLines wanted);
};

// About 32 KB of stack.
void multiply_groups(const MatMul& job, const TileSet& tiles);

}  // namespace ai
