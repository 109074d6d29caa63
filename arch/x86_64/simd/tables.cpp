// SPDX-License-Identifier: GPL-2.0-or-later
// Lists the kernel tables of this architecture, best first.
#include "ai/kernels/table.h"
#include "ai/quant/quant.h"
#include "arch/x86_64/simd/emulated.h"

namespace ai {

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

namespace sse2 {
#include "ai/kernels/lanes/entries.inc"

constexpr KernelTable kTable = {
    .name = "sse2",
    .needs = {},
#include "ai/kernels/lanes/table.inc"
};
}  // namespace sse2

// For QEMU's TCG: its own products of the most common formats. Of the others (measured in
// qemu-x86_64 7.2 on Zen 4), one or two rows at a time are faster with SSE2, and more with SSE4.1,
// which unpacks the weights once.
namespace emulated {
template <auto kFew, auto kMany>
void by_rows(const MatMul& job) {
  (job.batch <= 2 ? kFew : kMany)(job);
}

using Product = void (*)(const MatMul&);
template <QuantType type>
constexpr Product kProduct = by_rows<sse2::mat_mul<type>, sse41::mat_mul<type>>;
template <>
constexpr Product kProduct<QuantType::kQ4_0> = mat_mul<QuantType::kQ4_0>;
template <>
constexpr Product kProduct<QuantType::kQ4_1> = mat_mul<QuantType::kQ4_1>;
template <>
constexpr Product kProduct<QuantType::kQ8_0> = mat_mul<QuantType::kQ8_0>;

constexpr KernelTable kTable = {
    .name = "emulated",
    .needs = sse41::kTable.needs,
    .first_where = CpuFeatures{}.with(CpuFeature::kEmulated),
    .mat_mul =
        {
#define FORMAT(name, ...) kProduct<QuantType::k##name>,
#include "ai/quant/formats.def"
        },
    .quantize = {quantize_f32, sse2::quantize_q8x32, sse2::quantize_q8x256},
    .rms_norm = sse2::rms_norm,
    .silu_mul = sse2::silu_mul,
    .gelu_mul = sse2::gelu_mul,
    .add = sse2::add,
    .attend = sse2::attend,
};
}  // namespace emulated

static_assert(complete(avx512::kTable) && complete(avx_vnni::kTable) && complete(avx2::kTable) &&
              complete(sse41::kTable) && complete(emulated::kTable) && complete(sse2::kTable));

std::span<const KernelTable* const> arch_kernel_tables() {
  static constexpr const KernelTable* kTables[] = {&avx512::kTable,   &avx_vnni::kTable,
                                                   &avx2::kTable,     &sse41::kTable,
                                                   &emulated::kTable, &sse2::kTable};
  return kTables;
}

}  // namespace ai
