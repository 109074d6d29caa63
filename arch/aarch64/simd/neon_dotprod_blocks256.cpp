// SPDX-License-Identifier: GPL-2.0-or-later
// Products of the K-quants and IQ4_XS on NEON with dot product.
#include "arch/aarch64/simd/neon_dotprod.h"

namespace ai::neon_dotprod {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/blocks256.inc"

}  // namespace ai::neon_dotprod
