// SPDX-License-Identifier: GPL-2.0-or-later
// Which table runs: the best one the CPU has, its holes filled from the next.
#include <iterator>

#include "ai/kernels/table.h"

namespace ai {
namespace {

template <class Function>
void fill(Function& hole, Function from) {
  if (hole == nullptr) hole = from;
}

void settle_prefetch(KernelTable& table, CpuFeatures have) {
  if (!have.has_all(table.prefetch_needs)) table.prefetch_bytes = 0;
}

void fill_holes(KernelTable& table, const KernelTable& from) {
  for (usize i = 0; i < std::size(table.mat_mul); i++) fill(table.mat_mul[i], from.mat_mul[i]);
  for (usize i = 0; i < std::size(table.quantize); i++) fill(table.quantize[i], from.quantize[i]);
  fill(table.rms_norm, from.rms_norm);
  fill(table.silu_mul, from.silu_mul);
  fill(table.gelu_mul, from.gelu_mul);
  fill(table.add, from.add);
  fill(table.attend, from.attend);
}

// A name and what belongs to it; the functions come as holes are filled.
KernelTable begin_with(const KernelTable& table) {
  KernelTable chosen{};
  chosen.name = table.name;
  chosen.needs = table.needs;
  chosen.first_where = table.first_where;
  chosen.prefetch_bytes = table.prefetch_bytes;
  chosen.prefetch_needs = table.prefetch_needs;
  fill_holes(chosen, table);
  return chosen;
}

bool comes_first(const KernelTable& table, CpuFeatures have) {
  return table.first_where.bits != 0 && have.has_all(table.first_where);
}

}  // namespace

KernelTable select_kernels(CpuFeatures have) {
  KernelTable chosen{};
  for (const KernelTable* table : arch_kernel_tables())
    if (have.has_all(table->needs) && comes_first(*table, have)) chosen = begin_with(*table);
  for (const KernelTable* table : arch_kernel_tables()) {
    if (!have.has_all(table->needs)) continue;
    if (chosen.name == nullptr) chosen = begin_with(*table);
    fill_holes(chosen, *table);
  }
  if (chosen.name == nullptr) return kReferenceKernels;
  fill_holes(chosen, kReferenceKernels);
  settle_prefetch(chosen, have);
  return chosen;
}

Result<KernelTable> kernels_by_name(std::string_view name, CpuFeatures have) {
  if (name == "auto") return select_kernels(have);
  if (name == kReferenceKernels.name) return kReferenceKernels;
  for (const KernelTable* table : arch_kernel_tables()) {
    if (name != table->name) continue;
    if (!have.has_all(table->needs))
      return fail(Errc::kUnsupported, "this CPU lacks what the kernels need");
    KernelTable chosen = *table;
    fill_holes(chosen, kReferenceKernels);
    settle_prefetch(chosen, have);
    return chosen;
  }
  return fail(Errc::kNotFound, "no kernels of that name");
}

}  // namespace ai
