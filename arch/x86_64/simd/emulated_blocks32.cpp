// SPDX-License-Identifier: GPL-2.0-or-later
// Products of the most common 32-weight formats for QEMU's TCG.
#include <smmintrin.h>

#include "ai/kernels/tiles.h"
#include "ai/quant/quant.h"
#include "arch/x86_64/simd/emulated.h"

#define LANES [[gnu::target("sse4.1"), gnu::always_inline]] static inline
#define LANES_ENTRY [[gnu::target("sse4.1")]] static
#define UNROLL _Pragma("GCC unroll 16")

namespace ai::emulated {
namespace {
#include "arch/x86_64/simd/emulated_blocks32.inc"
}  // namespace

template <>
void mat_mul<QuantType::kQ4_0>(const MatMul& job) {
  mat_mul32<Q4_0, QuantType::kQ4_0>(job);
}
template <>
void mat_mul<QuantType::kQ4_1>(const MatMul& job) {
  mat_mul32<Q4_1, QuantType::kQ4_1>(job);
}
template <>
void mat_mul<QuantType::kQ8_0>(const MatMul& job) {
  mat_mul32<Q8_0, QuantType::kQ8_0>(job);
}

}  // namespace ai::emulated
