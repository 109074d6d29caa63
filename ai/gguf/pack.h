// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a model the way the engine wants it in memory: matrices in groups of 16 rows, tensors at
// multiples of 64 bytes (ai/gguf/layout.h), so that a booted image maps it and runs.
#pragma once

#include "ai/byte_stream.h"
#include "ai/gguf/reader.h"

namespace ai {

// kInvalidArgument unless `parts` are the bytes that `file` was parsed from.
Result<void> check_parts(const GgufFile& file, std::span<const std::span<Byte>> parts);

// Interleaves every matrix of block type in `parts`, the bytes `file` was parsed from, in parallel.
// Fails before the first byte is changed or not at all.
Result<void> group_matrices(const GgufFile& file, std::span<const std::span<Byte>> parts,
                            Platform& platform);

// Groups `parts` in place and writes one packed file; a split model becomes whole. kInvalidArgument
// when the file is packed already.
Result<void> pack_model(const GgufFile& file, std::span<const std::span<Byte>> parts,
                        Platform& platform, ByteSink& out);

}  // namespace ai
