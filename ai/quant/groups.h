// SPDX-License-Identifier: GPL-2.0-or-later
// The weight layout that products read: 16 consecutive rows are interleaved, so that each SIMD lane
// computes one row.
//
// A full group of 16 rows takes the bytes of those rows and replaces them in place. It is a
// sequence of block columns, each 16 blocks long. Block column b holds block b of all 16 rows,
// field by field. Each field is cut into units, and unit u of rows 0..15 is stored side by side:
//
//   Q4_K, 16 x 144 bytes:  d: 16 f16 | dmin: 16 f16 | scales: 3 x 16 x 4 bytes | qs: 32 x 16 x 4
//
// so a 64-byte load of qs has four consecutive bytes of each row in one 32-bit lane, which is what
// VPDPBUSD, SDOT and PMADDUBSW need. Only the position of bytes changes, not their contents.
// Collecting its units gives a row back (deinterleave_row).
//
// formats.def has the order of fields and the size of units. Float types (F32, F16, BF16) are not
// interleaved: their products run along a row (wiki/Numerics, rule 4).
//
// The last rows % 16 rows stay ordinary rows. Kernels interleave a few of their blocks at a time
// into a buffer of their own (gather_blocks), with zeros for the missing rows.
#pragma once

#include <span>

#include "ai/tensor.h"

namespace ai {

constexpr u32 kGroupRows = 16;  // rows interleaved together: one SIMD lane owns one row

struct GroupField {
  u8 offset;     // offset in the file's block
  u8 bytes;      // size in the block
  u8 unit;       // bytes of one row that are stored together
  bool is_half;  // the field is an f16
};
// Returns the fields in the order of the group. Empty for float types.
std::span<const GroupField> group_fields(QuantType type);

usize row_bytes(QuantType type, u32 columns);

// Interleaves 16 rows in place. `temporary` has the same size, 16 * row_bytes.
void interleave_group(QuantType type, u32 columns, Byte* group, Byte* temporary);
// Does the inverse, for writing a plain file.
void deinterleave_group(QuantType type, u32 columns, Byte* group, Byte* temporary);

// Interleaves every full group of `data`, which holds the bytes of `view`, and marks the view as
// interleaved. Allocates one buffer of a group's size; loaders that work in parallel call
// interleave_group themselves.
Result<void> interleave_rows(std::span<Byte> data, TensorView& view);

// Interleaves block columns [first_block, first_block + blocks) of up to 16 ordinary rows. Missing
// rows become zeros. `out` has room for 16 * blocks blocks.
void gather_blocks(QuantType type, const Byte* plain_rows, usize row_stride, u32 rows,
                   u32 first_block, u32 blocks, Byte* out);

// Copies one block of a row as an ordinary block, from either layout. Not for float types.
void copy_block(const TensorView& view, u32 row, u32 block, Byte* out);

// Copies one row as ordinary blocks, from either layout. `out` has room for row_bytes.
void copy_row(const TensorView& view, u32 row, Byte* out);

// Converts one row to floats, from either layout. Used for embeddings, norms and tests.
void dequantize_row(const TensorView& view, u32 row, float* out);

}  // namespace ai
