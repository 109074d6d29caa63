// SPDX-License-Identifier: GPL-2.0-or-later
// Products made for QEMU's TCG. The table "emulated" takes everything else from SSE2 and SSE4.1.
#pragma once

#include "ai/kernels/table.h"

namespace ai::emulated {

template <QuantType type>
void mat_mul(const MatMul& job);
template <>
void mat_mul<QuantType::kQ4_0>(const MatMul& job);
template <>
void mat_mul<QuantType::kQ4_1>(const MatMul& job);
template <>
void mat_mul<QuantType::kQ8_0>(const MatMul& job);

}  // namespace ai::emulated
