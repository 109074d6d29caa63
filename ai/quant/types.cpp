// SPDX-License-Identifier: GPL-2.0-or-later
// The table of weight types: numbers and block sizes of ggml, activations of numerics.md.
#include "ai/quant/types.h"

#include <iterator>

namespace ai {
namespace {

using enum QuantType;
constexpr auto kFloat = ActivationType::kF32;
constexpr auto kPer32 = ActivationType::kQ8x32;
constexpr auto kPer256 = ActivationType::kQ8x256;

constexpr QuantInfo kInfos[] = {
    {kF32, "F32", 0, 1, 4, kFloat},
    {kF16, "F16", 1, 1, 2, kFloat},
    {kBF16, "BF16", 30, 1, 2, kFloat},
    {kQ4_0, "Q4_0", 2, 32, 18, kPer32},
    {kQ4_1, "Q4_1", 3, 32, 20, kPer32},
    {kQ5_0, "Q5_0", 6, 32, 22, kPer32},
    {kQ5_1, "Q5_1", 7, 32, 24, kPer32},
    {kQ8_0, "Q8_0", 8, 32, 34, kPer32},
    {kQ2_K, "Q2_K", 10, 256, 84, kPer256},
    {kQ3_K, "Q3_K", 11, 256, 110, kPer256},
    {kQ4_K, "Q4_K", 12, 256, 144, kPer256},
    {kQ5_K, "Q5_K", 13, 256, 176, kPer256},
    {kQ6_K, "Q6_K", 14, 256, 210, kPer256},
    {kIQ4_NL, "IQ4_NL", 20, 32, 18, kPer32},
    {kIQ4_XS, "IQ4_XS", 23, 256, 136, kPer256},
    {kMXFP4, "MXFP4", 39, 32, 17, kPer32},
};
static_assert(std::size(kInfos) == static_cast<usize>(kCount));

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
  return fail(Errc::kUnsupported, "quantization type not supported");
}

}  // namespace ai
