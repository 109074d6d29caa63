// SPDX-License-Identifier: GPL-2.0-or-later
// The memory that each CPU needs before it may take an exception: its stacks and TPIDR_EL1.
#pragma once

#include <arch/cpu.h>

#include <array>

#include "arch/aarch64/paging_tables.h"

namespace arch {

struct CpuBlock;

// The words that a CPU reads before its MMU is on, as in head.S.
struct CpuStart {
  paging::MmuRegisters registers;
  u64 stack_top;
  CpuBlock* block;
};

template <u64 bytes>
struct alignas(4096) GuardedStack {
  Byte guard[4096];
  Byte bytes_[bytes];
  u64 top() const { return reinterpret_cast<u64>(bytes_) + bytes; }
};

// All that is private to one CPU. TPIDR_EL1 points at its start.
struct alignas(4096) CpuBlock {
  CpuLocal local;
  CpuStart start{};
  GuardedStack<32 * kKiB> handler;    // SP_EL1: interrupts, faults, the panic shell
  GuardedStack<16 * kKiB> emergency;  // for a fault of a handler
  GuardedStack<64 * kKiB> main;       // a worker's; CPU 0 runs on head.S's
};

CpuBlock& boot_cpu_block();
// The first bytes of the guard pages below its stacks.
std::array<const Byte*, 3> guards_of(const CpuBlock& block);

// The calling CPU's block is this from now on; it may take exceptions.
void load_cpu(CpuBlock& block);
// Takes the guard pages of a block's stacks away.
Result<void> guard_stacks(CpuBlock& block);

}  // namespace arch
