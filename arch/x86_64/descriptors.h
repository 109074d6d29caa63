// SPDX-License-Identifier: GPL-2.0-or-later
// The per-CPU tables without which a CPU cannot take a trap: segments, task state with its stacks,
// GS base.
#pragma once

#include <arch/cpu.h>

#include <array>

namespace arch {

// Slots of the interrupt stack table (Intel SDM vol. 3, 6.14.5). Every vector has one, so the
// interrupted stack is never pushed to. Handlers run with interrupts off, so no stack is used twice
// at once.
enum class TrapStack : u8 { kDoubleFault = 1, kNmi, kMachineCheck, kFault, kInterrupt, kCount };

template <u64 bytes>
struct alignas(4096) GuardedStack {
  Byte guard[4096];
  Byte bytes_[bytes];
  u64 top() const { return reinterpret_cast<u64>(bytes_) + bytes; }
};

struct [[gnu::packed]] TaskState {
  u32 reserved0;
  u64 rsp[3];
  u64 reserved1;
  u64 stacks[7];  // of TrapStack, minus one
  u64 reserved2;
  u16 reserved3;
  u16 io_map;
};
static_assert(sizeof(TaskState) == 104);

// The private data of one CPU. GS base points to its start.
struct alignas(4096) CpuBlock {
  CpuLocal local;
  u64 gdt[5] = {};
  TaskState task = {};
  GuardedStack<16 * kKiB> double_fault;
  GuardedStack<16 * kKiB> nmi;
  GuardedStack<16 * kKiB> machine_check;
  GuardedStack<32 * kKiB> fault;  // also used by the panic shell
  GuardedStack<16 * kKiB> interrupt;
  GuardedStack<64 * kKiB> main;  // for a worker; CPU 0 runs on boot.asm's stack
};

CpuBlock& boot_cpu_block();
// Returns the first bytes of the guard pages below its stacks.
std::array<const Byte*, 6> guards_of(const CpuBlock& block);

// Loads segments, task state and interrupt table of the calling CPU, which owns this block.
void load_descriptors(CpuBlock& block);
// Fills the interrupt table, which all CPUs share. CPU 0, called once.
void init_interrupt_table();
// Unmaps the guard pages of a block's stacks.
Result<void> guard_stacks(CpuBlock& block);

}  // namespace arch
