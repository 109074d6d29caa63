// SPDX-License-Identifier: GPL-2.0-or-later
// Converts rows to groups and back. It only moves bytes, driven by the table of fields.
#include "ai/quant/groups.h"

#include <cstring>

#include "ai/quant/quant.h"
#include "kernel/base/memory.h"

namespace ai {
namespace {

// The words that formats.def is written in.
constexpr GroupField half(u8 at) {
  return {.offset = at, .bytes = 2, .unit = 2, .is_half = true};
}
constexpr GroupField pair(u8 at) {
  return {.offset = at, .bytes = 2, .unit = 2, .is_half = false};
}
constexpr GroupField byte(u8 at) {
  return {.offset = at, .bytes = 1, .unit = 1, .is_half = false};
}
constexpr GroupField fours(u8 at, u8 bytes) {
  return {.offset = at, .bytes = bytes, .unit = 4, .is_half = false};
}

// Returns true if the fields cover each byte of a block exactly once.
constexpr bool cover(std::span<const GroupField> fields, usize block_bytes) {
  bool covered[256] = {};
  usize bytes = 0;
  for (const GroupField& field : fields) {
    if (field.bytes % field.unit != 0) return false;
    for (u32 i = field.offset; i < u32{field.offset} + field.bytes; i++, bytes++) {
      if (i >= block_bytes || covered[i]) return false;
      covered[i] = true;
    }
  }
  return bytes == block_bytes;
}

#define FORMAT_FLOAT(...)
#define FORMAT(name, ggml, weights, activation, files, ...) \
  constexpr GroupField k##name[] = {__VA_ARGS__};           \
  static_assert(cover(k##name, sizeof(Block##name)), "the fields of " #name " miss its block");
#include "ai/quant/formats.def"

constexpr std::span<const GroupField> kFields[] = {
#define FORMAT_FLOAT(...) {},
#define FORMAT(name, ...) k##name,
#include "ai/quant/formats.def"
};

// Moves block columns between 16 streams of blocks and a group. kIn: from rows to a group.
enum class Direction : u8 { kIn, kOut };

// `blocks[r]` is the next block of row r; null stands for a row of zeros (kIn only).
template <Direction direction>
void move_column(std::span<const GroupField> fields, Byte* const (&blocks)[kGroupRows],
                 Byte* group) {
  for (const GroupField& field : fields) {
    for (u32 u = 0; u < field.bytes; u += field.unit) {
      for (Byte* block : blocks) {
        if constexpr (direction == Direction::kIn) {
          if (block != nullptr)
            std::memcpy(group, block + field.offset + u, field.unit);
          else
            std::memset(group, 0, field.unit);
        } else {
          std::memcpy(block + field.offset + u, group, field.unit);
        }
        group += field.unit;
      }
    }
  }
}

template <Direction direction>
void move_group(QuantType type, u32 columns, Byte* group, Byte* temporary) {
  auto fields = group_fields(type);
  if (fields.empty()) return;
  const QuantInfo& info = quant_info(type);
  usize stride = row_bytes(type, columns);
  std::memcpy(temporary, group, stride * kGroupRows);
  Byte* rows = direction == Direction::kIn ? temporary : group;
  Byte* column = direction == Direction::kIn ? group : temporary;
  for (u32 b = 0; b < columns / info.block_weights; b++) {
    Byte* blocks[kGroupRows];
    for (u32 r = 0; r < kGroupRows; r++) blocks[r] = rows + r * stride + b * info.block_bytes;
    move_column<direction>(fields, blocks, column);
    column += kGroupRows * info.block_bytes;
  }
}

bool in_group(const TensorView& view, u32 row) {
  return view.grouped && !group_fields(view.type).empty() &&
         row < view.rows / kGroupRows * kGroupRows;
}

}  // namespace

std::span<const GroupField> group_fields(QuantType type) {
  ASSERT(type < QuantType::kCount);
  return kFields[static_cast<usize>(type)];
}

usize row_bytes(QuantType type, u32 columns) {
  const QuantInfo& info = quant_info(type);
  return usize{columns} / info.block_weights * info.block_bytes;
}

void interleave_group(QuantType type, u32 columns, Byte* group, Byte* temporary) {
  move_group<Direction::kIn>(type, columns, group, temporary);
}

void deinterleave_group(QuantType type, u32 columns, Byte* group, Byte* temporary) {
  move_group<Direction::kOut>(type, columns, group, temporary);
}

Result<void> interleave_rows(std::span<Byte> data, TensorView& view) {
  if (view.grouped) return {};
  usize bytes = view.row_bytes * kGroupRows;
  if (view.rows >= kGroupRows && !group_fields(view.type).empty()) {
    auto* temporary = static_cast<Byte*>(base::allocate(bytes, 64));
    if (temporary == nullptr) return fail(Errc::kOutOfMemory, "no memory to interleave rows");
    for (u32 group = 0; group < view.rows / kGroupRows; group++)
      interleave_group(view.type, view.columns, data.subspan(group * bytes, bytes).data(),
                       temporary);
    base::deallocate(temporary);
  }
  view.grouped = true;
  return {};
}

void gather_blocks(QuantType type, const Byte* plain_rows, usize row_stride, u32 rows,
                   u32 first_block, u32 blocks, Byte* out) {
  const QuantInfo& info = quant_info(type);
  for (u32 b = first_block; b < first_block + blocks; b++) {
    Byte* at[kGroupRows] = {};
    for (u32 r = 0; r < rows; r++)  // kIn only reads the blocks, so the cast is safe
      at[r] = const_cast<Byte*>(plain_rows + r * row_stride + usize{b} * info.block_bytes);
    move_column<Direction::kIn>(group_fields(type), at, out);
    out += kGroupRows * info.block_bytes;
  }
}

void copy_block(const TensorView& view, u32 row, u32 block, Byte* out) {
  const QuantInfo& info = quant_info(view.type);
  if (!in_group(view, row)) {
    const Byte* at = view.data.data() + row * view.row_bytes + usize{block} * info.block_bytes;
    std::memcpy(out, at, info.block_bytes);
    return;
  }
  const Byte* at = view.data.data() + row / kGroupRows * kGroupRows * view.row_bytes +
                   usize{block} * kGroupRows * info.block_bytes;
  u32 lane = row % kGroupRows;
  for (const GroupField& field : group_fields(view.type))
    for (u32 u = 0; u < field.bytes; u += field.unit, at += kGroupRows * field.unit)
      std::memcpy(out + field.offset + u, at + lane * field.unit, field.unit);
}

void copy_row(const TensorView& view, u32 row, Byte* out) {
  if (!in_group(view, row)) {
    std::memcpy(out, view.data.data() + row * view.row_bytes, view.row_bytes);
    return;
  }
  const QuantInfo& info = quant_info(view.type);
  for (u32 b = 0; b < view.columns / info.block_weights; b++, out += info.block_bytes)
    copy_block(view, row, b, out);
}

void dequantize_row(const TensorView& view, u32 row, float* out) {
  if (!in_group(view, row)) {
    dequantize(view.type, view.data.data() + row * view.row_bytes, out, view.columns);
    return;
  }
  const QuantInfo& info = quant_info(view.type);
  Byte block[256];  // the largest block has 210 bytes
  for (u32 b = 0; b < view.columns / info.block_weights; b++, out += info.block_weights) {
    copy_block(view, row, b, block);
    dequantize(view.type, block, out, info.block_weights);
  }
}

}  // namespace ai
