// SPDX-License-Identifier: GPL-2.0-or-later
// Declares the memory that each CPU needs before it may take an exception: its stacks, and the data
// that TPIDR_EL1 points at.
#pragma once

#include <arch/cpu.h>

#include <array>

#include "arch/aarch64/paging_tables.h"

namespace arch {

struct CpuBlock;

// The words that a CPU reads before its MMU is on, in the order that head.S expects.
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

// Holds all that is private to one CPU. TPIDR_EL1 points at its start.
struct alignas(4096) CpuBlock {
  CpuLocal local;
  CpuStart start{};
  GuardedStack<32 * kKiB> handler;    // SP_EL1: interrupts, faults, the panic shell
  GuardedStack<16 * kKiB> emergency;  // in use after a handler faults
  GuardedStack<64 * kKiB> main;       // for a worker; CPU 0 runs on the stack of head.S
};

CpuBlock& boot_cpu_block();
// Returns the first bytes of the guard pages below the block's stacks.
std::array<const Byte*, 3> guards_of(const CpuBlock& block);

// Makes `block` the calling CPU's, which may take exceptions from then on.
void load_cpu(CpuBlock& block);
// Unmaps the guard pages below a block's stacks.
Result<void> guard_stacks(CpuBlock& block);

}  // namespace arch
