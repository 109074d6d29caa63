// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel tables of this architecture, best first.
#include "ai/kernels/table.h"

namespace ai {

std::span<const KernelTable* const> arch_kernel_tables() {
  return {};
}

}  // namespace ai
