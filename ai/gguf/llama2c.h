// SPDX-License-Identifier: GPL-2.0-or-later
// Presents checkpoints of llama2.c (run.c and runq.c) and their tokenizer.bin as a GGUF file.
//
// Versions: 0 (28-byte header, f32), 1 ("ak42", f32), 2 ("ak42", int8 with one scale per group).
// The int8 groups become Q8_0 blocks in place: the integers stay, scales are rounded from f32 to
// f16 (a relative error of 2^-11). Groups of 32 and 64 weights are supported.
#pragma once

#include "ai/gguf/reader.h"

namespace ai {

// Returns true for the magic number of version 1 or 2, or for a version 0 header that describes at
// most this many bytes.
bool is_llama2c(std::span<const Byte> file);

// `tokenizer` may be empty: bytes after the checkpoint then count as tokenizer.bin. The file's
// tensors refer to the checkpoint's bytes, which must outlive it. kDescribe leaves the groups of
// version 2 unconverted, so the weights cannot be used.
enum class Llama2cGroups : u8 { kConvert, kDescribe };
Result<base::Owner<GgufFile>> parse_llama2c(std::span<Byte> checkpoint,
                                            std::span<const Byte> tokenizer, Platform& platform,
                                            Llama2cGroups groups = Llama2cGroups::kConvert);

}  // namespace ai
