// SPDX-License-Identifier: GPL-2.0-or-later
// Float weights, norms, gates, quantization of activations and attention on SSE2.
#include "arch/x86_64/simd/sse2.h"

namespace ai::sse2 {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/floats.inc"

#include "ai/kernels/lanes/vectors.inc"

#include "ai/kernels/lanes/attend.inc"

}  // namespace ai::sse2
