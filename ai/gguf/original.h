// SPDX-License-Identifier: GPL-2.0-or-later
// The bytes of a model file as they were before loading grouped its matrices in place: a loaded
// model can still be compared with the hash of its file.
#pragma once

#include "ai/gguf/pack.h"

namespace ai {

// Writes part `index` of `file`, whose matrices group_matrices() has rewritten in `part`, as it
// was. Changes nothing. Of a packed file these are the bytes as they lie.
Result<void> write_original(const GgufFile& file, std::span<const Byte> part, u32 index,
                            Platform& platform, ByteSink& out);

}  // namespace ai
