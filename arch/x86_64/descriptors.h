// SPDX-License-Identifier: GPL-2.0-or-later
// What each CPU needs before it may take a trap: segments, task state with its stacks, GS base.
#pragma once

#include <arch/cpu.h>

#include <array>

namespace arch {

// Interrupt stack table slots (Intel SDM vol. 3, 6.14.5). Every vector has one, so the interrupted
// stack is never pushed to; handlers run with interrupts off, so none is used twice at once.
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

// All that is private to one CPU. GS base points at its start.
struct alignas(4096) CpuBlock {
  CpuLocal local;
  u64 gdt[5] = {};
  TaskState task = {};
  GuardedStack<16 * kKiB> double_fault;
  GuardedStack<16 * kKiB> nmi;
  GuardedStack<16 * kKiB> machine_check;
  GuardedStack<32 * kKiB> fault;  // also that of the panic shell
  GuardedStack<16 * kKiB> interrupt;
  GuardedStack<64 * kKiB> main;  // a worker's; CPU 0 runs on boot.asm's
};

CpuBlock& boot_cpu_block();
// The first bytes of the guard pages below its stacks.
std::array<const Byte*, 6> guards_of(const CpuBlock& block);

// Loads segments, task state and the interrupt table of the calling CPU, whose block this is.
void load_descriptors(CpuBlock& block);
// Fills the one interrupt table. CPU 0, once.
void init_interrupt_table();
// Takes the guard pages of a block's stacks away.
Result<void> guard_stacks(CpuBlock& block);

}  // namespace arch
