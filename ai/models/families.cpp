// SPDX-License-Identifier: GPL-2.0-or-later
// Lists all model families.
#include "ai/models/family.h"

namespace ai {

std::span<const std::span<const Architecture>> families() {
  static const std::span<const Architecture> all[] = {kLlamaFamily, kGptFamily,  kPhiFamily,
                                                      kGemmaFamily, kMoeFamily,  kDeepseekFamily,
                                                      kMambaFamily, kBertFamily, kBitnetFamily};
  return all;
}

const Architecture* find_architecture(std::string_view name) {
  for (auto family : families())
    for (const Architecture& row : family)
      if (row.name == name) return &row;
  return nullptr;
}

}  // namespace ai
