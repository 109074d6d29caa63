// SPDX-License-Identifier: GPL-2.0-or-later
// The table of weight types. Numbers and sizes as in the GGUF specification (ggml_type).
#include "ai/quant/types.h"

#include "ai/quant/blocks.h"

namespace ai {
namespace {

using enum QuantType;
using Act = ActivationType;

constexpr QuantInfo kInfos[] = {
    {kF32, "F32", 0, 1, 4, Act::kF32},
    {kF16, "F16", 1, 1, 2, Act::kF32},
    {kBF16, "BF16", 30, 1, 2, Act::kF32},
    {kQ4_0, "Q4_0", 2, 32, sizeof(BlockQ4_0), Act::kQ8x32},
    {kQ4_1, "Q4_1", 3, 32, sizeof(BlockQ4_1), Act::kQ8x32},
    {kQ5_0, "Q5_0", 6, 32, sizeof(BlockQ5_0), Act::kQ8x32},
    {kQ5_1, "Q5_1", 7, 32, sizeof(BlockQ5_1), Act::kQ8x32},
    {kQ8_0, "Q8_0", 8, 32, sizeof(BlockQ8_0), Act::kQ8x32},
    {kQ2_K, "Q2_K", 10, 256, sizeof(BlockQ2_K), Act::kQ8x256},
    {kQ3_K, "Q3_K", 11, 256, sizeof(BlockQ3_K), Act::kQ8x256},
    {kQ4_K, "Q4_K", 12, 256, sizeof(BlockQ4_K), Act::kQ8x256},
    {kQ5_K, "Q5_K", 13, 256, sizeof(BlockQ5_K), Act::kQ8x256},
    {kQ6_K, "Q6_K", 14, 256, sizeof(BlockQ6_K), Act::kQ8x256},
    {kIQ4_NL, "IQ4_NL", 20, 32, sizeof(BlockIQ4_NL), Act::kQ8x32},
    {kIQ4_XS, "IQ4_XS", 23, 256, sizeof(BlockIQ4_XS), Act::kQ8x256},
    {kMXFP4, "MXFP4", 39, 32, sizeof(BlockMXFP4), Act::kQ8x32},
};

constexpr bool in_order() {
  for (usize i = 0; i < std::size(kInfos); i++)
    if (kInfos[i].type != static_cast<QuantType>(i)) return false;
  return std::size(kInfos) == static_cast<usize>(kCount);
}
static_assert(in_order(), "one row a type, in the order of the enumeration");

}  // namespace

std::span<const QuantInfo> quant_infos() {
  return kInfos;
}

const QuantInfo& quant_info(QuantType type) {
  ASSERT(type < kCount);
  return kInfos[static_cast<usize>(type)];
}

Result<QuantType> quant_from_ggml(u32 ggml_type) {
  for (const QuantInfo& info : kInfos)
    if (info.ggml_type == ggml_type) return info.type;
  return fail(Errc::kUnsupported, "tensor type not supported");
}

}  // namespace ai
