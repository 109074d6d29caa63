// SPDX-License-Identifier: GPL-2.0-or-later
// Attention of query heads over the pages of one KV head, and the layout of such a page.
//
// A page holds kPagePositions positions of one layer and one KV head: first the keys, then the
// values. Widths are the head's; key and value widths may differ and need not be multiples of 16.
//
//   keys f16    [position / 16][dimension][16 positions]              lane = position
//   keys q8     [position / 16][block of 32 dimensions]{ scale: 16 f32,
//               [8][16 positions][4 dimensions] u8 = q + 128 }        lane = position
//   values f16  [position][dimension, rounded up to 16]               lane = dimension
//   values q8   [position][block of 32 dimensions]{ scale: f32, 32 x i8 }
//
// Scores: dimensions in ascending order, one chain a position; q8 has exact integers inside a
// block of 32 dimensions. Softmax is online: maximum, rescaling and sums go page by page, pages in
// ascending order, at page borders that never move, so the cut of the prompt into chunks and the
// company in a batch leave no trace in the bits.
#pragma once

#include "ai/attention/kv_type.h"
#include "kernel/base/types.h"

namespace ai {

constexpr u32 kPagePositions = 32;  // two vectors of 16; small enough to share short prefixes
constexpr u32 kMaxHeadWidth = 640;  // 576 is the widest known (multi-head latent attention)

usize key_bytes(KvType type, u32 key_width);                       // of a page
usize value_bytes(KvType type, u32 value_width);                   // of a page
usize kv_page_bytes(KvType type, u32 key_width, u32 value_width);  // both; a multiple of 64

// Writes one position (0 .. kPagePositions - 1) of a page. `page` is its first byte.
void store_key(KvType type, Byte* page, u32 key_width, u32 position, const float* key);
void store_value(KvType type, Byte* page, u32 key_width, u32 value_width, u32 position,
                 const float* value);

// One query head at one position of the text. It sees the positions [begin, end), not empty.
struct AttendQuery {
  const float* query;  // key_width
  float* out;          // value_width
  u32 begin, end;      // begin > 0: sliding window
};

struct AttendJob {
  const Byte* const* pages;  // page i holds positions 32 i ..; those before min(begin) are not read
  KvType type;
  u32 key_width, value_width;
  float scale;     // of the scores, usually 1 / sqrt(key_width)
  float soft_cap;  // 0 = none; else cap * tanh(score / cap)
  // Heads that share this KV head, at one or several positions. Neighbours are worked on together
  // and share the loads, so put those of one position side by side.
  const AttendQuery* queries;
  u32 query_count;
};

}  // namespace ai
