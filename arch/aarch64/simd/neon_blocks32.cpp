// SPDX-License-Identifier: GPL-2.0-or-later
// Products of the 32-weight formats on NEON.
#include "arch/aarch64/simd/neon.h"

namespace ai::neon {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/blocks32.inc"

}  // namespace ai::neon
