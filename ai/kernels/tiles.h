// SPDX-License-Identifier: GPL-2.0-or-later
// The loops around a product, which every SIMD table shares: column chunks, groups, slices, tiles,
// the remainder group, the store. A table supplies the inner functions. Plain data only.
//
// Decode (batch 1, 2, and 4, 8 where there are enough registers) reads a block column, unpacks it
// in registers and multiplies it with the activations at once. Other batches unpack a slice of a
// group into a buffer that stays in the first-level cache, and run it against one tile of
// activations after another. Each tile prefetches its part of the next slice, so that unpacking
// does not wait for memory and the activations do not wait for a miss buffer:
//
//   chunk of up to 128 columns   their activations stay in L2
//     group of 16 rows
//       slice of up to 17 KB     unpacked once, used 128 times
//         tile of up to 8        accumulators in registers
#pragma once

#include "ai/kernels/table.h"
#include "ai/quant/blocks.h"

namespace ai {

// A block column of 16 rows, ready for dot products: [4 weights of 16 rows] side by side. `scale`
// and `pairs` have the form that the table's own dot products take.
struct alignas(64) UnpackedColumn32 {
  Byte q[8][64];
  float d[16], m[16];
};
struct alignas(64) UnpackedColumn256 {
  Byte q[64][64];
  Byte scale[16][64];  // of each sub-block, for 16 rows
  Byte pairs[8][64];   // mins (or scales, if weights have an offset) of two sub-blocks as i16
  float d[16], dmin[16];
};

constexpr u32 kTileSizes = 4;  // 1, 2, 4, 8 columns
constexpr u32 kChunkColumns = 128;
// activations that stay in a second-level cache of 512 KB or more
constexpr usize kChunkBytes = 448 * 1024;

// Returns how many additions of at most `step` fit into a signed 16-bit sum before it must be
// widened. The answer is a power of two up to 64, the additions of a superblock. If a step adds two
// products of an activation (up to 127) and a weight, the answer is 64 for weights up to 2 (the sum
// is at most 32512), 32 for 3 (24384), 8 for 15 (30480), 4 for 31 (31496), 2 for 63 (32004) and 1
// for 128 (32512).
constexpr u32 sums_in_16_bits(u32 step) {
  u32 most = 32767 / step, power = 1;
  while (power * 2 <= most && power < 64) power *= 2;
  return power;
}

// Cache lines to prefetch.
struct WantedLines {
  const Byte *at, *end;
};

struct TileSet {
  QuantType type;
  u32 unpacked_bytes;  // per block column
  u32 slice;           // block columns unpacked at once
  // Entry i takes 2^i activation vectors, `stride` bytes apart; it is null if the registers cannot
  // hold that many. Adds their products with `count` block columns to acc[2^i][16].
  void (*fused[kTileSizes])(const Byte* columns, u32 count, const Byte* activations, usize stride,
                            float* acc, Prefetch prefetch);
  void (*unpack)(const Byte* columns, u32 count, Byte* out);
  // Prefetches `wanted` on the way.
  void (*tile[kTileSizes])(const Byte* unpacked, u32 count, const Byte* activations, usize stride,
                           float* acc, WantedLines wanted);
};

// Computes a job. Needs about 32 KB of stack.
void multiply_groups(const MatMul& job, const TileSet& tiles);

}  // namespace ai
