// SPDX-License-Identifier: GPL-2.0-or-later
// Checkpoints of llama2.c (run.c and runq.c) with their tokenizer.bin, seen as a GGUF file.
//
// Versions: 0 (28-byte header, f32), 1 ("ak42", f32), 2 ("ak42", int8 with a scale a group). The
// int8 groups become Q8_0 blocks in place: the integers stay, scales are rounded from f32 to f16
// (a relative 2^-11). Groups of 32 and 64 fit; others are refused.
#pragma once

#include "ai/gguf/reader.h"

namespace ai {

// True for a version 1 or 2 magic, or a header of version 0 that describes just this many bytes
// or fewer.
bool is_llama2c(std::span<const Byte> file);

// `tokenizer` may be empty: bytes behind the checkpoint then count as tokenizer.bin, if there are
// any. The checkpoint's bytes are those of the file's tensors and outlive it. kDescribe leaves the
// groups of version 2 as they are: the weights then mean nothing yet.
enum class Llama2cGroups : u8 { kConvert, kDescribe };
Result<base::Owner<GgufFile>> parse_llama2c(std::span<Byte> checkpoint,
                                            std::span<const Byte> tokenizer, Platform& platform,
                                            Llama2cGroups groups = Llama2cGroups::kConvert);

}  // namespace ai
