// SPDX-License-Identifier: GPL-2.0-or-later
// Products of the 32-weight formats on AVX-VNNI.
#include "arch/x86_64/simd/avx_vnni.h"

namespace ai::avx_vnni {

#include "ai/kernels/lanes/entries.inc"

#include "ai/kernels/lanes/blocks32.inc"

}  // namespace ai::avx_vnni
