// SPDX-License-Identifier: GPL-2.0-or-later
// Attention of query heads over the pages of one KV head, and the layout of such a page. The
// function itself is KernelTable's `attend`: it runs inside a step, on all workers, never yields,
// and keeps no pointer of a job.
//
// A page holds kPagePositions positions of one layer and one KV head: first the keys, then the
// values. Keys and values may have different widths, which need not be multiples of 16.
//
//   keys f16    [position / 16][dimension][16 positions]              lane = position
//   values f16  [position][dimension, rounded up to 16]               lane = dimension
//
// Quantized vectors are rotated (rotate.h) and cut into blocks of 32 dimensions, with zeros past
// the end. A block has one scale, the upper half of an f32, and integers q: x = scale * (q - 128)
// with 8 bits, x = scale * (2 q - 15) with 4 bits. A word has four bytes, those of two pairs: with
// 8 bits, word w holds number 2 w in byte 0, 2 w + 16 in byte 2, 2 w + 1 in byte 1 and 2 w + 17 in
// byte 3, so that a mask and a shift give the two pairs as 16-bit numbers.
//
//   key scales    [block][2][16 positions] u16
//   keys 8 bits   [position / 16][block][8 words][16 positions]       pairs of dimensions
//   keys 4 bits   [position / 16][block][4 words][16 positions]       pairs of dimensions:
//                 bits 0, 4, 8 and 12 of word w begin numbers 4 w to 4 w + 3, and bits 16, 20, 24
//                 and 28 those that are 16 greater
//   value scales  [block][32 positions] u16
//   values 8 bits [block][8 words][32 dimensions]                     pairs of positions
//   values 4 bits [block][8 words][16 dimensions]                     pairs of positions; the upper
//                 half of each byte belongs to the dimension that is 16 greater
//
// Scores add up the dimensions in ascending order, in one chain per position; quantized keys have
// exact integers inside a block of 32 dimensions. The share of the distance (ALiBi) is taken off
// afterwards, as one product and one difference. Softmax is online: maximum, rescaling and sums go
// page by page, in ascending order. The positions of a page are mixed in ascending order; for
// quantized values their weights become integers (PairedBlock in steps.h), and the sum over the
// page is exact. Page borders never move, so the result does not depend on how a prompt was cut
// into chunks or on what else is in the batch.
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
  u32 position = 0;    // its own, for `slope`
  // ALiBi: each position of distance takes this much from a score, before `scale`; 0 = none
  float slope = 0;
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
