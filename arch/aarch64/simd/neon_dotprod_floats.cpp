// SPDX-License-Identifier: GPL-2.0-or-later
// Float weights, norms, gates, quantization of activations and attention on NEON with dot product.
#include "arch/aarch64/simd/neon_dotprod.h"

namespace ai::neon_dotprod {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/floats.inc"

#include "ai/kernels/lanes/vectors.inc"

#include "ai/kernels/lanes/attend.inc"

}  // namespace ai::neon_dotprod
