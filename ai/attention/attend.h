// SPDX-License-Identifier: GPL-2.0-or-later
// Attention of query heads over the pages of one KV head, and the layout of such a page. The
// function itself is KernelTable's `attend`: it runs inside a step, on all workers, never yields,
// and keeps no pointer of a job.
//
// A page holds kPagePositions positions of one layer and one KV head: first the keys, then the
// values. Keys and values may have different widths, which need not be multiples of 16.
//
//   keys f16    [position / 16][dimension][16 positions]              lane = position
//   keys q8     [position / 16][block of 32 dimensions]{ scale: 16 f32,
//               [8][16 positions][4 dimensions] u8 = q + 128 }        lane = position
//   values f16  [position][dimension, rounded up to 16]               lane = dimension
//   values q8   [position][block of 32 dimensions]{ scale: f32, 32 x i8 }
//
// Scores add up the dimensions in ascending order, in one chain per position; q8 has exact integers
// inside a block of 32 dimensions. Softmax is online: maximum, rescaling and sums go page by page,
// in ascending order. Page borders never move, so the result does not depend on how a prompt was
// cut into chunks or on what else is in the batch.
#pragma once

#include "ai/attention/kv_type.h"
#include "kernel/base/types.h"

namespace ai {

// two vectors of 16; small enough that short prefixes can be shared
constexpr u32 kPagePositions = 32;
constexpr u32 kMaxHeadWidth = 640;  // 576 is the widest known (multi-head latent attention)

usize key_bytes(KvType type, u32 key_width);      // per page
usize value_bytes(KvType type, u32 value_width);  // per page
// Returns the bytes of both together, a multiple of 64.
usize kv_page_bytes(KvType type, u32 key_width, u32 value_width);

// Writes one position (0 .. kPagePositions - 1). `page` points to the first byte of the page.
void store_key(KvType type, Byte* page, u32 key_width, u32 position, const float* key);
void store_value(KvType type, Byte* page, u32 key_width, u32 value_width, u32 position,
                 const float* value);

// One query head at one position of the text. It attends to positions [begin, end), at least one.
struct AttendQuery {
  const float* query;  // key_width
  float* out;          // value_width
  u32 begin, end;      // begin > 0: sliding window
};

struct AttendJob {
  // page i holds positions from 32 i; pages before the smallest begin are not read
  const Byte* const* pages;
  KvType type;
  u32 key_width, value_width;
  float scale;     // factor of the scores, usually 1 / sqrt(key_width)
  float soft_cap;  // cap * tanh(score / cap); 0 = none
  // Heads that share this KV head, at one or several positions. Neighbours are computed together
  // and share loads, so queries of one position belong side by side.
  const AttendQuery* queries;
  u32 query_count;
};

}  // namespace ai
