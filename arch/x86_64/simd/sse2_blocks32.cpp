// SPDX-License-Identifier: GPL-2.0-or-later
// Products of the 32-weight formats on SSE2.
#include "arch/x86_64/simd/sse2.h"

namespace ai::sse2 {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/blocks32.inc"

}  // namespace ai::sse2
