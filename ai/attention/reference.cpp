// SPDX-License-Identifier: GPL-2.0-or-later
// The steps of attention, written to be read. The order of every sum is the contract that SIMD
// tables must keep.
#include "ai/attention/reference.h"

#include <bit>

#include "ai/attention/steps.h"
#include "ai/math/activations.h"
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

constexpr u32 kBlock = 32;                                 // numbers with a common scale
constexpr u32 kScaleBytes = kPagePositions * sizeof(u16);  // of one block

u32 blocks_of(u32 width) {
  return (width + kBlock - 1) / kBlock;
}

float scale_at(const Byte* scales, u32 i) {
  return std::bit_cast<float>(u32{base::load<u16>(scales + 2 * i)} << 16);
}

i32 number_at(const PairedBlock& block, u32 i) {
  return static_cast<i16>(block.pairs[i % 16] >> 16 * (i / 16));
}

// Takes the offset of the stored numbers out of a sum. |result| <= 32 * 2^14 * 128 = 2^26; its
// conversion to float is rounded like every other operation.
template <u32 kBits>
i32 centred(i32 sum, const PairedBlock& block) {
  return kBits == 8 ? sum - 128 * block.sum : 2 * sum - 15 * block.sum;
}

// Returns dimension d of a position's key; `words` points to the position's word 0.
template <u32 kBits>
u32 key_at(const Byte* words, u32 d) {
  u32 pair = d % 16, second = d / 16, in_word = 16 / kBits;  // pairs
  u32 word = base::load<u32>(words + pair / in_word * 64);
  return word >> (pair % in_word * kBits + 16 * second) & ((1u << kBits) - 1);
}

template <u32 kBits>
void scores_quantized(AttendTile& tile, const Byte* keys) {
  constexpr u32 kBlockBytes = 16 * kBlock * kBits / 8;
  u32 blocks = blocks_of(tile.key_width);
  for (u32 i = 0; i < tile.count; i++) {
    for (u32 position = 0; position < kPagePositions; position++) {
      const Byte* words = keys + blocks * kScaleBytes +
                          usize{position} / 16 * blocks * kBlockBytes + position % 16 * 4;
      float score = 0;
      for (u32 b = 0; b < blocks; b++, words += kBlockBytes) {
        const PairedBlock& query = tile.paired[i][b];
        i32 sum = 0;
        for (u32 d = 0; d < kBlock; d++)
          sum += number_at(query, d) * static_cast<i32>(key_at<kBits>(words, d));
        float scale = scale_at(keys + b * kScaleBytes, position) * query.scale;
        score = score + static_cast<float>(centred<kBits>(sum, query)) * scale;
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

// Returns dimension d of the value at `position`; `words` points to the block's word 0.
template <u32 kBits>
u32 value_at(const Byte* words, u32 d, u32 position) {
  u32 row = kBlock * kBits / 8, pair = position % 16;
  u32 word = base::load<u32>(words + (pair / 2 * row + d % row) * 4);
  u32 byte = word >> (pair % 2 * 8 + position / 16 * 16) & 255;
  return kBits == 8 ? byte : byte >> d / 16 * 4 & 15;
}

// The weights of the page's positions times the scales of their values.
PairedBlock scaled_weights(const AttendTile& tile, u32 i, const Byte* scales) {
  float scaled[kPagePositions];
  for (u32 p = 0; p < kPagePositions; p++) {
    // Where nothing was stored yet, a scale may be anything.
    bool seen = p >= tile.first[i] && p < tile.last[i];
    scaled[p] = seen ? tile.weight[i][p] * scale_at(scales, p) : 0.0f;
  }
  PairedBlock block;
  pair_up(scaled, block);
  return block;
}

template <u32 kBits>
void mix_quantized(AttendTile& tile, const Byte* values, u32, u32) {
  constexpr u32 kBlockBytes = kPagePositions * kBlock * kBits / 8;
  u32 blocks = blocks_of(tile.value_width);
  for (u32 i = 0; i < tile.count; i++) {
    for (u32 b = 0; b < blocks; b++) {
      const Byte* words = values + blocks * kScaleBytes + b * kBlockBytes;
      PairedBlock weights = scaled_weights(tile, i, values + b * kScaleBytes);
      for (u32 d = 0; d < kBlock; d++) {
        i32 sum = 0;
        for (u32 p = 0; p < kPagePositions; p++)
          sum += number_at(weights, p) * static_cast<i32>(value_at<kBits>(words, d, p));
        float& out = tile.out[i][kBlock * b + d];
        float mixed = static_cast<float>(centred<kBits>(sum, weights)) * weights.scale;
        out = (out * tile.factor[i] + 0.0f) + mixed;
      }
    }
  }
}

constexpr AttendSteps kSteps[] = {{scores_f16, soften, mix_f16},
                                  {scores_quantized<8>, soften, mix_quantized<8>},
                                  {scores_quantized<8>, soften, mix_quantized<4>},
                                  {scores_quantized<4>, soften, mix_quantized<4>}};

}  // namespace

void attend_reference(const AttendJob& job) {
  walk_pages(job, kSteps);
}

}  // namespace ai
