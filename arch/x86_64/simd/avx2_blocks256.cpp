// SPDX-License-Identifier: GPL-2.0-or-later
// Products of the K-quants and IQ4_XS on AVX2.
#include "arch/x86_64/simd/avx2.h"

namespace ai::avx2 {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/blocks256.inc"

}  // namespace ai::avx2
