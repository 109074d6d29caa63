// SPDX-License-Identifier: GPL-2.0-or-later
// The weight types of GGUF as one table: a new quantization is a row here, a block in blocks.h,
// a dequantizer and a kernel.
#pragma once

#include <span>

#include "kernel/base/result.h"

namespace ai {

enum class QuantType : u8 {
  kF32,
  kF16,
  kBF16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
  kMXFP4,
  kCount,
};

// How the other operand of a product is stored: int8 with a scale per 32 or per 256 values for
// the quantized weights, plain f32 for the float weights (numerics.md, rules 2 to 4).
enum class ActivationType : u8 { kF32, kQ8x32, kQ8x256, kCount };

struct QuantInfo {
  QuantType type;
  const char* name;   // "Q4_K"
  u32 ggml_type;      // the number in the file
  u32 block_weights;  // weights a block
  u32 block_bytes;    // bytes a block
  ActivationType activation;
};

std::span<const QuantInfo> quant_infos();
const QuantInfo& quant_info(QuantType type);
Result<QuantType> quant_from_ggml(u32 ggml_type);  // kUnsupported for types not in the table

}  // namespace ai
