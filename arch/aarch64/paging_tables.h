// SPDX-License-Identifier: GPL-2.0-or-later
// Shared by paging.cpp, head.S and smp.cpp: the registers that switch the MMU on.
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
