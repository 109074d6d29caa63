// SPDX-License-Identifier: GPL-2.0-or-later
// The loop over pages, which every kernel table shares, and the three steps that a table supplies
// for it. Plain data only.
#pragma once

#include "ai/attention/attend.h"

namespace ai {

constexpr u32 kQueryTile = 8;  // queries that share the loads of a page

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
  const float* query[kQueryTile];                // f16 keys
  const struct ActivationQ8x32* q8[kQueryTile];  // q8 keys: two blocks for 32 dimensions
  // the query attends to positions [first, last) of this page
  u32 first[kQueryTile], last[kQueryTile];
  float maximum[kQueryTile];
  float factor[kQueryTile];                // scales the earlier sums to this page's new maximum
  alignas(64) float sums[kQueryTile][16];  // softmax denominators, lane = position mod 16
  alignas(64) float weight[kQueryTile][kPagePositions];  // scores, then their exponentials
  alignas(64) float out[kQueryTile][kMaxHeadWidth];
};

struct AttendSteps {
  // Computes weight = sum over dimensions of query * key, for all positions of the page.
  void (*scores)(AttendTile& tile, const Byte* keys);
  // Applies scale and soft cap, finds the new maximum, and computes factor, weight = exp(score -
  // maximum) (0 outside [first, last)), and sums = sums * factor + weights.
  void (*soften)(AttendTile& tile);
  // Computes out = (out * factor + 0) + sum over positions [from, to) of weight * value. The added
  // zero turns -0 into +0, so that adding 0 * value later changes nothing.
  void (*mix)(AttendTile& tile, const Byte* values, u32 from, u32 to);
};

// Computes a job with the steps of its type: steps[KvType].
void walk_pages(const AttendJob& job, const AttendSteps (&steps)[2]);

}  // namespace ai
