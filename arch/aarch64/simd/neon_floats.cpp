// SPDX-License-Identifier: GPL-2.0-or-later
// Float weights, norms, gates, quantization of activations and attention on NEON.
#include "arch/aarch64/simd/neon.h"

namespace ai::neon {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/floats.inc"

#include "ai/kernels/lanes/vectors.inc"

#include "ai/kernels/lanes/attend.inc"

}  // namespace ai::neon
