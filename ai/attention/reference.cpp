// SPDX-License-Identifier: GPL-2.0-or-later
// The steps of attention, written to be read. The order of every sum is the contract that SIMD
// tables must keep.
#include "ai/attention/reference.h"

#include "ai/attention/steps.h"
#include "ai/math/activations.h"
#include "ai/quant/blocks.h"
#include "ai/quant/half.h"
#include "kernel/base/bytes.h"

namespace ai {
namespace {

void scores_f16(AttendTile& tile, const Byte* keys) {
  for (u32 i = 0; i < tile.count; i++) {
    for (u32 position = 0; position < kPagePositions; position++) {
      const Byte* key = keys + position / 16 * tile.key_width * 32 + position % 16 * 2;
      float score = 0;
      for (u32 d = 0; d < tile.key_width; d++)
        score = score + tile.query[i][d] * f16_to_f32(base::load<u16>(key + 32 * d));
      tile.weight[i][position] = score;
    }
  }
}

// |isum| <= 32 * 127 * 127 < 2^19, so the conversion to float is exact.
void scores_q8(AttendTile& tile, const Byte* keys) {
  constexpr u32 kBlockBytes = 64 + 8 * 64;
  u32 blocks = (tile.key_width + 31) / 32;
  for (u32 i = 0; i < tile.count; i++) {
    for (u32 position = 0; position < kPagePositions; position++) {
      const Byte* key = keys + position / 16 * blocks * kBlockBytes;
      u32 lane = position % 16;
      float score = 0;
      for (u32 b = 0; b < blocks; b++, key += kBlockBytes) {
        for (u32 digit = 0; digit < 2; digit++) {
          const ActivationQ8x32& query = tile.q8[i][2 * b + digit];
          i32 isum = 0;
          for (u32 d = 0; d < 32; d++)
            isum += query.q[d] * (key[64 + d / 4 * 64 + lane * 4 + d % 4] - 128);
          float scale = base::load<float>(key + 4 * lane) * query.scale;
          score = score + static_cast<float>(isum) * scale;
        }
      }
      tile.weight[i][position] = score;
    }
  }
}

void soften_query(AttendTile& tile, u32 i) {
  float(&weight)[kPagePositions] = tile.weight[i];
  float maximum = tile.maximum[i];
  for (u32 p = tile.first[i]; p < tile.last[i]; p++) {
    float score = weight[p] * tile.scale;
    if (tile.soft_cap != 0) score = tile.soft_cap * tanh(score / tile.soft_cap);
    weight[p] = score;
    if (score > maximum) maximum = score;
  }
  tile.factor[i] = exp(tile.maximum[i] - maximum);
  tile.maximum[i] = maximum;
  for (u32 p = 0; p < kPagePositions; p++) {
    bool seen = p >= tile.first[i] && p < tile.last[i];
    weight[p] = seen ? exp(weight[p] - maximum) : 0.0f;
  }
  for (u32 lane = 0; lane < 16; lane++) {
    float sum = tile.sums[i][lane] * tile.factor[i];
    for (u32 p = lane; p < kPagePositions; p += 16) sum = sum + weight[p];
    tile.sums[i][lane] = sum;
  }
}

// A query that attends to nothing in this page keeps its state: factor 1, weights 0.
void soften(AttendTile& tile) {
  for (u32 i = 0; i < tile.count; i++) {
    if (tile.first[i] < tile.last[i]) {
      soften_query(tile, i);
    } else {
      tile.factor[i] = 1.0f;
      for (float& weight : tile.weight[i]) weight = 0.0f;
    }
  }
}

void mix_f16(AttendTile& tile, const Byte* values, u32 from, u32 to) {
  for (u32 i = 0; i < tile.count; i++) {
    for (u32 d = 0; d < tile.padded_width; d++) {
      float sum = tile.out[i][d] * tile.factor[i] + 0.0f;
      for (u32 p = from; p < to; p++)
        sum = sum + tile.weight[i][p] *
                        f16_to_f32(base::load<u16>(values + (p * tile.padded_width + d) * 2));
      tile.out[i][d] = sum;
    }
  }
}

void mix_q8(AttendTile& tile, const Byte* values, u32 from, u32 to) {
  constexpr u32 kBlockBytes = 36;
  u32 blocks = (tile.value_width + 31) / 32;
  for (u32 i = 0; i < tile.count; i++) {
    for (u32 d = 0; d < tile.padded_width; d++) {
      float sum = tile.out[i][d] * tile.factor[i] + 0.0f;
      for (u32 p = from; p < to; p++) {
        const Byte* block = values + (p * blocks + d / 32) * kBlockBytes;
        float scale = tile.weight[i][p] * base::load<float>(block);
        sum = sum + scale * static_cast<float>(static_cast<i8>(block[4 + d % 32]));
      }
      tile.out[i][d] = sum;
    }
  }
}

constexpr AttendSteps kSteps[] = {{scores_f16, soften, mix_f16}, {scores_q8, soften, mix_q8}};

}  // namespace

void attend_reference(const AttendJob& job) {
  walk_pages(job, kSteps);
}

}  // namespace ai
