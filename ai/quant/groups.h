// SPDX-License-Identifier: GPL-2.0-or-later
// The layout that products want: 16 consecutive rows interleaved, so that a SIMD lane owns a row.
//
// A full group of 16 rows takes the bytes of those rows and lies where they lay. It is a sequence
// of block columns, each 16 blocks long: block column b holds block b of all 16 rows, field by
// field, each field cut into units, unit u of rows 0..15 side by side:
//
//   Q4_K, 16 x 144 bytes:  d: 16 f16 | dmin: 16 f16 | scales: 3 x 16 x 4 bytes | qs: 32 x 16 x 4
//
// so a 64-byte load of qs has four consecutive bytes of each row in one 32-bit lane: what
// VPDPBUSD, SDOT and PMADDUBSW want. Only bytes change place; their contents stay those of the
// file, and a row is got back by picking up its units (deinterleave_row).
//
// The order of fields and the size of units stand in formats.def. Float types (F32, F16, BF16)
// are left as they are: their products run along a row (wiki/Numerics, rule 4).
//
// rows % 16 rows at the end stay ordinary rows: kernels interleave a few of their blocks at a time
// into a buffer of their own (gather_blocks), with zeros for the missing rows.
#pragma once

#include <span>

#include "ai/tensor.h"

namespace ai {

constexpr u32 kGroupRows = 16;  // rows interleaved together: one SIMD lane owns one row

struct GroupField {
  u8 offset;     // in the block of the file
  u8 bytes;      // of the block
  u8 unit;       // bytes of one row that lie together
  bool is_half;  // an f16
};
// In the order of the group. Empty for float types.
std::span<const GroupField> group_fields(QuantType type);

usize row_bytes(QuantType type, u32 columns);

// Interleaves 16 rows in place. `temporary` has the same size, 16 * row_bytes.
void interleave_group(QuantType type, u32 columns, Byte* group, Byte* temporary);
// The inverse, for writing a plain file.
void deinterleave_group(QuantType type, u32 columns, Byte* group, Byte* temporary);

// Interleaves every full group of `data`, the bytes of `view`, and marks the view. One buffer of a
// group is allocated and freed; loaders that work in parallel call interleave_group themselves.
Result<void> interleave_rows(std::span<Byte> data, TensorView& view);

// Block columns [first_block, first_block + blocks) of `rows` <= 16 ordinary rows as a group;
// missing rows become zeros. `out` has room for 16 * blocks blocks.
void gather_blocks(QuantType type, const Byte* plain_rows, usize row_stride, u32 rows,
                   u32 first_block, u32 blocks, Byte* out);

// Block `block` of a row as an ordinary block, from either layout. Not for float types.
void copy_block(const TensorView& view, u32 row, u32 block, Byte* out);

// One row as ordinary blocks of the file, from either layout. `out` has room for row_bytes.
void copy_row(const TensorView& view, u32 row, Byte* out);

// One row as floats, from either layout: embedding look-up, norms, tests.
void dequantize_row(const TensorView& view, u32 row, float* out);

}  // namespace ai
