// SPDX-License-Identifier: GPL-2.0-or-later
// Products of the 32-weight formats on AVX-512 with VNNI.
#include "arch/x86_64/simd/avx512.h"

namespace ai::avx512 {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/blocks32.inc"

}  // namespace ai::avx512
