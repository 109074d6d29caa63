// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the loop: queries in tiles, pages in ascending order, and the division at the end.
#include <algorithm>
#include <bit>

#include "ai/attention/rotate.h"
#include "ai/attention/steps.h"
#include "kernel/base/bytes.h"

namespace ai {
namespace {

constexpr u32 kBlock = 32;  // dimensions of a PairedBlock

struct QuantizedQueries {
  PairedBlock blocks[kQueryTile][kMaxHeadWidth / kBlock];
};

// Rotates a query like the keys it meets.
void quantize_query(const float* query, u32 width, PairedBlock* out) {
  alignas(16) float turned[kMaxHeadWidth];
  std::copy_n(query, width, turned);
  std::fill_n(turned + width, (width + kBlock - 1) / kBlock * kBlock - width, 0.0f);
  rotate(turned, width);
  for (u32 at = 0; at < width; at += kBlock) pair_up(turned + at, *out++);
}

void begin_tile(const AttendJob& job, const AttendQuery* queries, AttendTile& tile,
                QuantizedQueries& quantized) {
  bool is_quantized = kv_type_info(job.type).key_bits < 16;
  for (u32 i = 0; i < tile.count; i++) {
    tile.query[i] = queries[i].query;
    tile.paired[i] = quantized.blocks[i];
    if (is_quantized) quantize_query(queries[i].query, job.key_width, quantized.blocks[i]);
    tile.maximum[i] = -__builtin_inff();
    std::fill_n(tile.sums[i], 16, 0.0f);
    std::fill_n(tile.out[i], base::round_up(job.value_width, kBlock), 0.0f);
  }
}

// Adds lanes in the order 8+8, 4+4, 2+2, 1+1 (wiki/Numerics, rule 4).
float sum_lanes(const float (&lanes)[16]) {
  float eight[8], four[4];
  for (u32 i = 0; i < 8; i++) eight[i] = lanes[i] + lanes[i + 8];
  for (u32 i = 0; i < 4; i++) four[i] = eight[i] + eight[i + 4];
  return (four[0] + four[2]) + (four[1] + four[3]);
}

void end_tile(const AttendJob& job, const AttendQuery* queries, AttendTile& tile) {
  bool is_rotated = kv_type_info(job.type).value_bits < 16;
  for (u32 i = 0; i < tile.count; i++) {
    if (is_rotated) rotate(tile.out[i], tile.value_width);
    float inverse = 1.0f / sum_lanes(tile.sums[i]);
    for (u32 d = 0; d < tile.value_width; d++) queries[i].out[d] = tile.out[i][d] * inverse;
  }
}

// ALiBi (arXiv 2108.12409): the farther a position is from the query, the less it counts. Every
// table runs this one function, so it needs no twin in vectors.
void lower_the_distant(const AttendQuery* queries, AttendTile& tile, u32 start) {
  for (u32 i = 0; i < tile.count; i++) {
    const AttendQuery& query = queries[i];
    if (query.slope == 0) continue;
    for (u32 p = tile.first[i]; p < tile.last[i]; p++) {
      u32 at = start + p;
      u32 distance = at > query.position ? at - query.position : query.position - at;
      tile.weight[i][p] = tile.weight[i][p] - query.slope * static_cast<float>(distance);
    }
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
    lower_the_distant(queries, tile, start);
    steps.soften(tile);
    steps.mix(tile, job.pages[page] + values, from, to);
  }
}

}  // namespace

void pair_up(const float* in, PairedBlock& out) {
  u32 largest = 0;
  for (u32 i = 0; i < kBlock; i++)
    largest = std::max(largest, std::bit_cast<u32>(in[i]) & 0x7fffffff);
  PairedScale s = paired_scale(largest);
  auto integer = [&](u32 i) {
    return std::bit_cast<i32>(in[i] * s.inverse + kRoundMagic) - std::bit_cast<i32>(kRoundMagic);
  };
  out.scale = s.scale;
  out.sum = 0;
  for (u32 j = 0; j < 16; j++) {
    i32 low = integer(j), high = integer(j + 16);
    out.pairs[j] = (static_cast<u32>(low) & 0xffff) | static_cast<u32>(high) << 16;
    out.sum += low + high;
  }
}

void walk_pages(const AttendJob& job, const AttendSteps (&steps)[usize(KvType::kCount)]) {
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
    end_tile(job, job.queries + at, tile);
  }
}

}  // namespace ai
