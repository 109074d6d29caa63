// SPDX-License-Identifier: GPL-2.0-or-later
// Defines the table of weight types, generated from formats.def.
#include "ai/quant/types.h"

#include "ai/quant/blocks.h"

namespace ai {
namespace {

constexpr QuantInfo kInfos[] = {
#define FORMAT(name, ggml, weights, activation, ...) \
  {QuantType::k##name, #name, ggml, weights, sizeof(Block##name), ActivationType::activation},
#include "ai/quant/formats.def"
};

constexpr bool in_order() {
  for (usize i = 0; i < std::size(kInfos); i++)
    if (kInfos[i].type != static_cast<QuantType>(i)) return false;
  return std::size(kInfos) == static_cast<usize>(QuantType::kCount);
}
static_assert(in_order(), "one row a type, in the order of the enumeration");

constexpr bool numbers_differ() {
  for (const QuantInfo& a : kInfos)
    for (const QuantInfo& b : kInfos)
      if (&a != &b && a.ggml_type == b.ggml_type) return false;
  return true;
}
static_assert(numbers_differ(), "two rows of formats.def have the same ggml number");

}  // namespace

std::span<const QuantInfo> quant_infos() {
  return kInfos;
}

const QuantInfo& quant_info(QuantType type) {
  ASSERT(type < QuantType::kCount);
  return kInfos[static_cast<usize>(type)];
}

Result<QuantType> quant_from_ggml(u32 ggml_type) {
  for (const QuantInfo& info : kInfos)
    if (info.ggml_type == ggml_type) return info.type;
  return fail(Errc::kUnsupported,
              "a tensor's type is not supported: convert the model to another quantization");
}

}  // namespace ai
