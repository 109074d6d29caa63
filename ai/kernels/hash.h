// SPDX-License-Identifier: GPL-2.0-or-later
// SHA-256 by the CPU's own instructions, for files as large as models. They use vector registers,
// so only threads of CPU 0 and workers may hash with them.
#pragma once

#include "kernel/base/types.h"

namespace ai {

// Takes whole blocks of 64 bytes into a state of 8 words, as crypto::sha256_blocks() does.
using HashBlocks = void (*)(u32* state, const Byte* at, usize blocks);

// Returns what arch/<arch>/simd has for this CPU, or null.
HashBlocks arch_hash_blocks();

}  // namespace ai
