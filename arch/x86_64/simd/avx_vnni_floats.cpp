// SPDX-License-Identifier: GPL-2.0-or-later
// Float weights, norms, gates, quantization of activations and attention on AVX-VNNI.
#include "arch/x86_64/simd/avx_vnni.h"

namespace ai::avx_vnni {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/floats.inc"

#include "ai/kernels/lanes/vectors.inc"

#include "ai/kernels/lanes/attend.inc"

}  // namespace ai::avx_vnni
