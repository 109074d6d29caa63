// SPDX-License-Identifier: GPL-2.0-or-later
// The loops around a product that every SIMD table shares: column chunks, groups, slices, tiles,
// the remainder group, the store. A table supplies the inner functions. Plain data only.
//
// Decode (batch 1 or 2) reads a block column, unpacks it in registers and meets the activations at
// once. Larger batches unpack a slice of a group into a buffer that stays in the first-level cache
// and run it against tile after tile of activations:
//
//   chunk of 64 columns          their activations (160 KB at 2048 columns of Q8x256) stay in L2
//     group of 16 rows
//       slice of up to 17 KB     unpacked once, used 64 times
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

constexpr u32 kFusedColumns = 2;
constexpr u32 kChunkColumns = 64;
constexpr u32 kTileSizes = 4;  // tiles of 1, 2, 4, 8 columns

struct TileSet {
  QuantType type;
  u32 unpacked_bytes;  // of a block column
  u32 slice;           // block columns unpacked at once
  // acc[b][16] += the products of `count` block columns with `b`+1 activation vectors, each
  // `stride` bytes apart.
  void (*fused[kFusedColumns])(const Byte* columns, u32 count, const Byte* activations,
                               usize stride, float* acc);
  void (*unpack)(const Byte* columns, u32 count, Byte* out);
  // tile[i] takes 2^i activation vectors; null when the registers do not hold that many.
  void (*tile[kTileSizes])(const Byte* unpacked, u32 count, const Byte* activations, usize stride,
                           float* acc);
};

// About 32 KB of stack.
void multiply_groups(const MatMul& job, const TileSet& tiles);

}  // namespace ai
