// SPDX-License-Identifier: GPL-2.0-or-later
// Selects the kernel table: the best one that the CPU supports.
#include "ai/kernels/table.h"

namespace ai {
namespace {

bool comes_first(const KernelTable& table, CpuFeatures have) {
  return table.first_where.bits != 0 && have.has_all(table.first_where);
}

const KernelTable& best_for(CpuFeatures have) {
  for (const KernelTable* table : arch_kernel_tables())
    if (have.has_all(table->needs) && comes_first(*table, have)) return *table;
  for (const KernelTable* table : arch_kernel_tables())
    if (have.has_all(table->needs)) return *table;
  return kReferenceKernels;
}

}  // namespace

KernelTable select_kernels(CpuFeatures have) {
  return best_for(have);
}

Result<KernelTable> kernels_by_name(std::string_view name, CpuFeatures have) {
  if (name == "auto") return select_kernels(have);
  if (name == kReferenceKernels.name) return kReferenceKernels;
  for (const KernelTable* table : arch_kernel_tables()) {
    if (name != table->name) continue;
    if (!have.has_all(table->needs))
      return fail(Errc::kUnsupported,
                  "this CPU lacks instructions that these kernels need: `cpu` lists its features");
    return *table;
  }
  return fail(Errc::kNotFound, "no kernels of that name");
}

}  // namespace ai
