// SPDX-License-Identifier: GPL-2.0-or-later
// Declares what paging.cpp, head.S and smp.cpp share: the registers that switch the MMU on.
#pragma once

#include "kernel/base/types.h"

namespace arch::paging {

struct MmuRegisters {  // in the order that head.S reads
  u64 mair, tcr, ttbr0, sctlr;
};

}  // namespace arch::paging

// head.S
extern "C" arch::paging::MmuRegisters mmu_registers;
extern "C" void clean_lines(u64 begin, u64 end);
