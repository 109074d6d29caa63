// SPDX-License-Identifier: GPL-2.0-or-later
// The walk over pages that every table shares, and the three steps a table supplies for it.
// Plain data only.
#pragma once

#include "ai/attention/attend.h"

namespace ai {

constexpr u32 kQueryTile = 8;  // queries that share the loads of a page

// The state of up to kQueryTile queries while they walk.
struct AttendTile {
  u32 count;
  u32 key_width, value_width, padded_width;  // padded: value_width rounded up to 16
  float scale, soft_cap;
  // Of the next page (or this one, at the end): asked for meanwhile, because pages of one head lie
  // far apart and no prefetcher of a CPU finds them. Into the second cache: the first has too few
  // buffers for a page's 128 lines (Zen 4: a token at depth 2000 takes a fifth longer).
  const Byte *next_keys, *next_values;
  const float* query[kQueryTile];                // f16 keys
  const struct ActivationQ8x32* q8[kQueryTile];  // q8 keys: two blocks for 32 dimensions
  u32 first[kQueryTile], last[kQueryTile];       // of this page: sees [first, last)
  float maximum[kQueryTile];
  float factor[kQueryTile];                // what this page's new maximum does to the past
  alignas(64) float sums[kQueryTile][16];  // softmax denominators, lane = position mod 16
  alignas(64) float weight[kQueryTile][kPagePositions];  // scores, then their exponentials
  alignas(64) float out[kQueryTile][kMaxHeadWidth];
};

struct AttendSteps {
  // weight = sum over dimensions of query * key, for all positions of the page.
  void (*scores)(AttendTile& tile, const Byte* keys);
  // Scale, soft cap, new maximum, factor, weight = exp(score - maximum), 0 outside [first, last),
  // sums = sums * factor + weights.
  void (*soften)(AttendTile& tile);
  // out = (out * factor + 0) + sum over positions [from, to) of weight * value. The added zero
  // turns -0 into +0, so that adding 0 * value later is no change at all.
  void (*mix)(AttendTile& tile, const Byte* values, u32 from, u32 to);
};

// steps[KvType]
void walk_pages(const AttendJob& job, const AttendSteps (&steps)[2]);

}  // namespace ai
