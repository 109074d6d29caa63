// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a model in the form in which the engine needs it in memory: matrices in groups of 16 rows,
// tensors at multiples of 64 bytes (ai/gguf/layout.h), so that a booted image maps it and runs.
#pragma once

#include "ai/byte_stream.h"
#include "ai/gguf/reader.h"
#include "ai/quant/groups.h"

namespace ai {

// Returns kInvalidArgument unless `parts` are the bytes that `file` was parsed from.
Result<void> check_parts(const GgufFile& file, std::span<const std::span<Byte>> parts);

// Interleaves the matrices of one part, in the order of the file, while its bytes are still
// arriving. Used on the thread that loads.
class ArrivingGroups {
 public:
  // `data` has room for the whole part, whose bytes need not have arrived.
  static Result<ArrivingGroups> create(const GgufFile& file, u32 part, std::span<Byte> data,
                                       Platform& platform);
  // Tells that the first `bytes` of the part have arrived. Interleaves every group that is
  // complete, once, on all workers.
  void advance(u64 bytes);

 private:
  struct Matrices {  // the stacked matrices of one tensor
    QuantType type;
    u32 columns, rows, stack;
    usize row_bytes;
    u64 offset;
    u32 groups() const { return rows / kGroupRows * stack; }
    u64 place(u32 group) const;  // offset of a group
    u32 whole(u64 bytes) const;  // groups that end before byte `bytes` of the part
  };
  ArrivingGroups(std::span<Byte> data, Platform& platform) : data_(data), platform_(&platform) {}

  std::span<Byte> data_;
  Platform* platform_;
  Vector<Matrices> matrices_;  // sorted by offset
  usize current_ = 0;
  u32 done_ = 0;  // groups of the current matrix that are interleaved
  usize largest_ = 0;
  Vector<Byte> temporary_;  // room for one group per worker
};

// Interleaves every matrix of block type in `parts`, the bytes that `file` was parsed from, on all
// workers. If it fails, no byte has changed.
Result<void> group_matrices(const GgufFile& file, std::span<const std::span<Byte>> parts,
                            Platform& platform);

// Groups `parts` in place and writes one packed file; a split model becomes one file. Returns
// kInvalidArgument if the file is packed already.
Result<void> pack_model(const GgufFile& file, std::span<const std::span<Byte>> parts,
                        Platform& platform, ByteSink& out);

}  // namespace ai
