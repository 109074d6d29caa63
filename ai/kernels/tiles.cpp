// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the loops around a product (tiles.h).
#include "ai/kernels/tiles.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "ai/math/four.h"
#include "ai/quant/quant.h"
#include "kernel/base/bytes.h"

namespace ai {
namespace {

constexpr usize kScratchBytes = 3 * sizeof(UnpackedColumn256);
// 4 block columns of Q6_K, and more of the other formats
constexpr usize kGatherBytes = kGroupRows * 1024;

struct Scratch {
  alignas(64) Byte unpacked[kScratchBytes];
  alignas(64) Byte gathered[kGatherBytes];
  alignas(64) float acc[kChunkColumns][kGroupRows];
};

// Stores sixteen rows without a branch between them.
void store_group(float* out, const float* acc, bool accumulate) {
  for (u32 r = 0; r < kGroupRows; r += 4) {
    FourFloats sum = four_at(acc + r), before = four_at(out + r);
    if (accumulate) sum = before + sum;
    put_four(out + r, sum);
  }
}

// Multiplies one group with one chunk of activation vectors.
class GroupProduct {
 public:
  GroupProduct(const MatMul& job, const TileSet& tiles, Scratch& scratch)
      : job_(job), tiles_(tiles), scratch_(scratch), info_(quant_info(tiles.type)) {
    column_bytes_ = kGroupRows * info_.block_bytes;
    blocks_ = job.columns / info_.block_weights;
    act_bytes_ = info_.block_weights == 32 ? sizeof(ActivationQ8x32) : sizeof(ActivationQ8x256);
  }

  void run(u32 group, u32 first_column, u32 columns) {
    std::memset(scratch_.acc, 0, columns * sizeof scratch_.acc[0]);
    const Byte* at = static_cast<const Byte*>(job_.groups) + group * job_.group_bytes;
    const Byte* activations =
        static_cast<const Byte*>(job_.activations) + first_column * job_.activation_bytes;
    u32 rows = std::min(kGroupRows, job_.rows - group * kGroupRows);
    if (rows == kGroupRows)
      product(at, blocks_, activations, columns);
    else
      remainder(at, rows, activations, columns);
    store(group * kGroupRows, rows, first_column, columns);
  }

 private:
  // The last rows are ordinary rows. They are interleaved here, a few blocks at a time.
  void remainder(const Byte* rows_at, u32 rows, const Byte* activations, u32 columns) {
    u32 step = static_cast<u32>(kGatherBytes / column_bytes_);
    for (u32 block = 0; block < blocks_; block += step) {
      u32 count = std::min(step, blocks_ - block);
      gather_blocks(tiles_.type, rows_at, job_.group_bytes / kGroupRows, rows, block, count,
                    scratch_.gathered);
      product(scratch_.gathered, count, activations + block * act_bytes_, columns);
    }
  }

  void product(const Byte* at, u32 count, const Byte* activations, u32 columns) {
    if (columns <= 1u << (kTileSizes - 1) && std::has_single_bit(columns)) {
      auto fused = tiles_.fused[std::countr_zero(columns)];
      if (fused != nullptr)
        return fused(at, count, activations, job_.activation_bytes, scratch_.acc[0], job_.prefetch);
    }
    for (u32 block = 0; block < count; block += tiles_.slice) {
      u32 part = std::min(tiles_.slice, count - block);
      const Byte* columns_at = at + block * column_bytes_;
      tiles_.unpack(columns_at, part, scratch_.unpacked);
      run_tiles(part, activations + block * act_bytes_, columns, columns_at + part * column_bytes_);
    }
  }

  // Each tile prefetches its part of `next`, the slice after this one.
  void run_tiles(u32 count, const Byte* activations, u32 columns, const Byte* next) {
    const Byte* end = next + count * column_bytes_;
    u32 size = kTileSizes - 1;
    for (u32 column = 0; column < columns; column += 1u << size) {
      while (tiles_.tile[size] == nullptr || columns - column < 1u << size) size--;
      u32 tiles_left = (columns - column) >> size;
      const Byte* part = next + base::round_up(static_cast<usize>(end - next) / tiles_left, 64);
      tiles_.tile[size](scratch_.unpacked, count, activations + column * job_.activation_bytes,
                        job_.activation_bytes, scratch_.acc[column], {next, part});
      next = std::min(part, end);
    }
  }

  void store(u32 row, u32 rows, u32 first_column, u32 columns) {
    for (u32 b = 0; b < columns; b++) {
      float* out = job_.out + (first_column + b) * job_.out_stride + row;
      __builtin_prefetch(out + kGroupRows, 1);  // for the next group: its columns are far apart
      const float* acc = scratch_.acc[b];
      if (rows == kGroupRows)
        store_group(out, acc, job_.accumulate);
      else
        for (u32 r = 0; r < rows; r++) out[r] = job_.accumulate ? out[r] + acc[r] : acc[r];
    }
  }

  const MatMul& job_;
  const TileSet& tiles_;
  Scratch& scratch_;
  const QuantInfo& info_;
  usize column_bytes_, act_bytes_;
  u32 blocks_;
};

}  // namespace

void multiply_groups(const MatMul& job, const TileSet& tiles) {
  Scratch scratch;
  GroupProduct product(job, tiles, scratch);
  u32 chunk = static_cast<u32>(kChunkBytes / job.activation_bytes) / 8 * 8;
  chunk = std::clamp(chunk, 16u, kChunkColumns);
  for (u32 column = 0; column < job.batch; column += chunk) {
    u32 columns = std::min(chunk, job.batch - column);
    for (u32 group = job.first_group; group < job.last_group; group++)
      product.run(group, column, columns);
  }
}

}  // namespace ai
