// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel tables of this architecture, best first.
#include "ai/kernels/table.h"
#include "ai/quant/quant.h"

namespace ai {

// On Intel less than 6 KB leaves DRAM half used; AMD's prefetchers do better left alone (measured
// on Zen 4: 95 % of plain reads without, 60 % with).
constexpr u32 kPrefetchBytes = 9216;
constexpr CpuFeatures kPrefetchNeeds = CpuFeatures{}.with(CpuFeature::kFarPrefetch);

namespace avx512 {
#include "ai/kernels/lanes/entries.inc"

constexpr KernelTable kTable = {
    .name = "avx512-vnni",
    .needs = CpuFeatures{}.with(CpuFeature::kAvx512).with(CpuFeature::kAvx512Vnni),
#include "ai/kernels/lanes/table.inc"
};
}  // namespace avx512

namespace avx_vnni {
#include "ai/kernels/lanes/entries.inc"

constexpr KernelTable kTable = {
    .name = "avx-vnni",
    .needs =
        CpuFeatures{}.with(CpuFeature::kAvx2).with(CpuFeature::kF16c).with(CpuFeature::kAvxVnni),
#include "ai/kernels/lanes/table.inc"
};
}  // namespace avx_vnni

namespace avx2 {
#include "ai/kernels/lanes/entries.inc"

constexpr KernelTable kTable = {
    .name = "avx2",
    .needs = CpuFeatures{}.with(CpuFeature::kAvx2).with(CpuFeature::kF16c),
#include "ai/kernels/lanes/table.inc"
};
}  // namespace avx2

namespace sse41 {
#include "ai/kernels/lanes/entries.inc"

constexpr KernelTable kTable = {
    .name = "sse41",
    .needs = CpuFeatures{}.with(CpuFeature::kSsse3).with(CpuFeature::kSse41),
#include "ai/kernels/lanes/table.inc"
};
}  // namespace sse41

std::span<const KernelTable* const> arch_kernel_tables() {
  static constexpr const KernelTable* kTables[] = {&avx512::kTable, &avx_vnni::kTable,
                                                   &avx2::kTable, &sse41::kTable};
  return kTables;
}

}  // namespace ai
