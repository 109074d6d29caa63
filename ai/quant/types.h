// SPDX-License-Identifier: GPL-2.0-or-later
// The weight types of GGUF: the rows of formats.def as an enumeration and a table.
#pragma once

#include <span>

#include "kernel/base/result.h"

namespace ai {

enum class QuantType : u8 {
#define FORMAT(name, ...) k##name,
#include "ai/quant/formats.def"
  kCount,
};

// How the other operand of a product is stored: int8 with one scale per 32 or 256 values for
// quantized weights, plain f32 for float weights (wiki/Numerics, rules 2 to 4).
enum class ActivationType : u8 { kF32, kQ8x32, kQ8x256, kCount };

struct QuantInfo {
  QuantType type;
  const char* name;   // "Q4_K"
  u32 ggml_type;      // the type's number in the file
  u32 block_weights;  // weights per block
  u32 block_bytes;    // bytes per block
  ActivationType activation;
};

std::span<const QuantInfo> quant_infos();
const QuantInfo& quant_info(QuantType type);
Result<QuantType> quant_from_ggml(u32 ggml_type);  // kUnsupported for types not in the table

}  // namespace ai
