// SPDX-License-Identifier: GPL-2.0-or-later
// Restores the bytes of a model file as they were before loading grouped its matrices in place, so
// that a loaded model can still be compared with the hash of its file. For threads of CPU 0: the
// platform lets other threads run between two pieces, so the caller keeps `file` and `part` alive
// until the call returns.
#pragma once

#include "ai/gguf/pack.h"

namespace ai {

// Writes part `index` of `file` as it was before group_matrices() rewrote `part`. Changes nothing
// in memory. For a packed file it writes the bytes as they are.
Result<void> write_original(const GgufFile& file, std::span<const Byte> part, u32 index,
                            Platform& platform, ByteSink& out);

}  // namespace ai
