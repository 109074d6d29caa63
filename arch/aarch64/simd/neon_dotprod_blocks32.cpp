// SPDX-License-Identifier: GPL-2.0-or-later
// Products of the 32-weight formats on NEON with dot product.
#include "arch/aarch64/simd/neon_dotprod.h"

namespace ai::neon_dotprod {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/blocks32.inc"

}  // namespace ai::neon_dotprod
