// SPDX-License-Identifier: GPL-2.0-or-later
// The registers that switch the MMU on, as paging.cpp shares them with head.S and smp.cpp.
#pragma once

#include "kernel/base/types.h"

namespace arch::paging {

struct MmuRegisters {  // as in head.S
  u64 mair, tcr, ttbr0, sctlr;
};

}  // namespace arch::paging

// head.S
extern "C" arch::paging::MmuRegisters mmu_registers;
extern "C" void clean_lines(u64 begin, u64 end);
