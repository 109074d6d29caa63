// SPDX-License-Identifier: GPL-2.0-or-later
// Lists the kernel tables of this architecture, best first.
#include "ai/kernels/table.h"
#include "ai/quant/quant.h"

namespace ai {

namespace neon_dotprod {
#include "ai/kernels/lanes/entries.inc"

constexpr KernelTable kTable = {
    .name = "neon-dotprod",
    .needs = CpuFeatures{}.with(CpuFeature::kNeon).with(CpuFeature::kNeonDotProd),
#include "ai/kernels/lanes/table.inc"
};
}  // namespace neon_dotprod

namespace neon {
#include "ai/kernels/lanes/entries.inc"

constexpr KernelTable kTable = {
    .name = "neon",
    .needs = CpuFeatures{}.with(CpuFeature::kNeon),
#include "ai/kernels/lanes/table.inc"
};
}  // namespace neon

static_assert(complete(neon_dotprod::kTable) && complete(neon::kTable));

std::span<const KernelTable* const> arch_kernel_tables() {
  static constexpr const KernelTable* kTables[] = {&neon_dotprod::kTable, &neon::kTable};
  return kTables;
}

}  // namespace ai
