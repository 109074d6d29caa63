// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the loop: queries in tiles, pages in ascending order, and the division at the end.
#include <algorithm>

#include "ai/attention/steps.h"
#include "ai/quant/blocks.h"
#include "ai/quant/quant.h"

namespace ai {
namespace {

// A query is quantized to two digits, because its rounding error would cost as much as that of all
// the keys it meets. The second digit holds what the first left over, in steps of 1/254.
struct QuantizedQueries {
  ActivationQ8x32 blocks[kQueryTile][2 * kMaxHeadWidth / 32];
};

void quantize_query(const float* query, u32 width, ActivationQ8x32* out) {
  for (u32 at = 0; at < width; at += 32, out += 2) {
    float rest[32] = {};
    std::copy_n(query + at, std::min(32u, width - at), rest);
    quantize_q8x32(rest, out, 32);
    for (u32 i = 0; i < 32; i++) rest[i] = rest[i] - static_cast<float>(out->q[i]) * out->scale;
    quantize_q8x32(rest, out + 1, 32);
  }
}

void begin_tile(const AttendJob& job, const AttendQuery* queries, AttendTile& tile,
                QuantizedQueries& quantized) {
  for (u32 i = 0; i < tile.count; i++) {
    tile.query[i] = queries[i].query;
    if (job.type == KvType::kQ8) {
      quantize_query(queries[i].query, job.key_width, quantized.blocks[i]);
      tile.q8[i] = quantized.blocks[i];
    }
    tile.maximum[i] = -__builtin_inff();
    std::fill_n(tile.sums[i], 16, 0.0f);
    std::fill_n(tile.out[i], tile.padded_width, 0.0f);
  }
}

// Adds lanes in the order 8+8, 4+4, 2+2, 1+1 (wiki/Numerics, rule 4).
float sum_lanes(const float (&lanes)[16]) {
  float eight[8], four[4];
  for (u32 i = 0; i < 8; i++) eight[i] = lanes[i] + lanes[i + 8];
  for (u32 i = 0; i < 4; i++) four[i] = eight[i] + eight[i + 4];
  return (four[0] + four[2]) + (four[1] + four[3]);
}

void end_tile(const AttendQuery* queries, const AttendTile& tile) {
  for (u32 i = 0; i < tile.count; i++) {
    float inverse = 1.0f / sum_lanes(tile.sums[i]);
    for (u32 d = 0; d < tile.value_width; d++) queries[i].out[d] = tile.out[i][d] * inverse;
  }
}

void walk_tile(const AttendJob& job, const AttendQuery* queries, AttendTile& tile,
               const AttendSteps& steps) {
  u32 begin = ~0u, end = 0;
  for (u32 i = 0; i < tile.count; i++) {
    begin = std::min(begin, queries[i].begin);
    end = std::max(end, queries[i].end);
  }
  usize values = key_bytes(job.type, job.key_width);
  for (u32 page = begin / kPagePositions; page * kPagePositions < end; page++) {
    u32 start = page * kPagePositions, from = kPagePositions, to = 0;
    for (u32 i = 0; i < tile.count; i++) {
      u32 first = std::clamp(queries[i].begin, start, start + kPagePositions) - start;
      u32 last = std::clamp(queries[i].end, start, start + kPagePositions) - start;
      tile.first[i] = first;
      tile.last[i] = last;
      if (first >= last) continue;
      from = std::min(from, first);
      to = std::max(to, last);
    }
    if (from >= to) continue;
    const Byte* next = job.pages[start + kPagePositions < end ? page + 1 : page];
    tile.next_keys = next;
    tile.next_values = next + values;
    steps.scores(tile, job.pages[page]);
    steps.soften(tile);
    steps.mix(tile, job.pages[page] + values, from, to);
  }
}

}  // namespace

void walk_pages(const AttendJob& job, const AttendSteps (&steps)[2]) {
  AttendTile tile;
  QuantizedQueries quantized;
  tile.key_width = job.key_width;
  tile.value_width = job.value_width;
  tile.padded_width = (job.value_width + 15) / 16 * 16;
  tile.scale = job.scale;
  tile.soft_cap = job.soft_cap;
  for (u32 at = 0; at < job.query_count; at += kQueryTile) {
    tile.count = std::min(kQueryTile, job.query_count - at);
    begin_tile(job, job.queries + at, tile, quantized);
    walk_tile(job, job.queries + at, tile, steps[static_cast<usize>(job.type)]);
    end_tile(job.queries + at, tile);
  }
}

}  // namespace ai
