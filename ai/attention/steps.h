// SPDX-License-Identifier: GPL-2.0-or-later
// The loop over pages, which every kernel table shares, and the three steps that a table supplies
// for it. Plain data only.
#pragma once

#include "ai/attention/attend.h"

namespace ai {

constexpr u32 kQueryTile = 8;  // queries that share the loads of a page

// 32 numbers as integers of 15 bits, x = scale * q: a block of a query's dimensions, or the weights
// of a page's positions. They meet keys and values in products of two 16-bit numbers, which are
// summed exactly.
struct PairedBlock {
  u32 pairs[16];  // q[j] in the low half, q[j + 16] in the high half
  float scale;    // a power of two, so that no division is needed; 0: all q are 0
  i32 sum;        // of q; removes the offset of stored keys and values exactly
};
// |q| <= 2^kPairedBits. The largest magnitude of the block, 1.m * 2^e, becomes 1.m *
// 2^(kPairedBits - 1), rounded half to even.
constexpr u32 kPairedBits = 14;
// Blocks whose largest magnitude has a smaller exponent field count as zeros.
constexpr u32 kLeastPairedExponent = kPairedBits;

// Adding 1.5 * 2^23 leaves an integer, rounded half to even, in the low mantissa bits.
constexpr float kRoundMagic = 12582912.0f;

// The scale of a block and its reciprocal, from the bits of its largest magnitude. An infinity or a
// NaN gives the scale NaN, so that it reaches the logits and is reported there.
struct PairedScale {
  float scale, inverse;
};
[[gnu::always_inline]] constexpr PairedScale paired_scale(u32 largest) {
  u32 exponent = largest >> 23;
  if (exponent == 255) return {__builtin_nanf(""), 0.0f};
  if (exponent < kLeastPairedExponent) return {0.0f, 0.0f};
  u32 scale = exponent - (kPairedBits - 1);
  return {__builtin_bit_cast(float, scale << 23), __builtin_bit_cast(float, (254 - scale) << 23)};
}

// Makes a block of 32 numbers, as every table does.
void pair_up(const float* in, PairedBlock& out);

// The state of up to kQueryTile queries during the loop.
struct AttendTile {
  u32 count;
  u32 key_width, value_width, padded_width;  // padded: value_width rounded up to 16
  float scale, soft_cap;
  // The next page, or this one at the end. It is prefetched because the pages of one head are far
  // apart, where no CPU's prefetcher finds them. It goes to the second-level cache: the first level
  // has too few buffers for a page's 128 lines (on Zen 4, a token at depth 2000 takes a fifth
  // longer).
  const Byte *next_keys, *next_values;
  const float* query[kQueryTile];         // f16 keys
  const PairedBlock* paired[kQueryTile];  // quantized keys: one block for 32 dimensions, rotated
  // the query attends to positions [first, last) of this page
  u32 first[kQueryTile], last[kQueryTile];
  float maximum[kQueryTile];
  float factor[kQueryTile];                // scales the earlier sums to this page's new maximum
  alignas(64) float sums[kQueryTile][16];  // softmax denominators, lane = position mod 16
  alignas(64) float weight[kQueryTile][kPagePositions];  // scores, then their exponentials
  alignas(64) float out[kQueryTile][kMaxHeadWidth];      // rotated if the values are quantized
};
static_assert(kMaxHeadWidth % 32 == 0, "quantized values fill whole blocks of `out`");

struct AttendSteps {
  // Computes weight = sum over dimensions of query * key, for all positions of the page.
  void (*scores)(AttendTile& tile, const Byte* keys);
  // Applies scale and soft cap to the scores, from which the share of the distance has been taken
  // meanwhile, finds the new maximum, and computes factor, weight = exp(score -
  // maximum) (0 outside [first, last)), and sums = sums * factor + weights.
  void (*soften)(AttendTile& tile);
  // Computes out = (out * factor + 0) + sum over positions [from, to) of weight * value. The added
  // zero turns -0 into +0, so that adding 0 * value later changes nothing. Quantized values are
  // summed over all positions of the page, in which weights outside [first, last) are zeros.
  void (*mix)(AttendTile& tile, const Byte* values, u32 from, u32 to);
};

// Computes a job with the steps of its type: steps[KvType].
void walk_pages(const AttendJob& job, const AttendSteps (&steps)[usize(KvType::kCount)]);

}  // namespace ai
