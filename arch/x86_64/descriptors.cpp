// SPDX-License-Identifier: GPL-2.0-or-later
// Sets up the global descriptor table, task state and interrupt table. Intel SDM vol. 3, chapters
// 3, 6 and 7.
#include "arch/x86_64/descriptors.h"

#include <arch/paging.h>
#include <arch/registers.h>

extern "C" const u64 interrupt_doors[256];

namespace arch {
namespace {

constexpr u16 kCode = 0x08, kData = 0x10, kTask = 0x18;
constexpr u64 kCodeDescriptor = 0x00af9b000000ffff;  // as in boot.asm
constexpr u64 kDataDescriptor = 0x00cf93000000ffff;

struct [[gnu::packed]] TablePointer {
  u16 limit;
  u64 base;
};

struct Gate {
  u16 offset_low;
  u16 segment;
  u8 stack;  // index of the task state's stack; 0 = stay
  u8 kind;
  u16 offset_middle;
  u32 offset_high;
  u32 reserved;
};
static_assert(sizeof(Gate) == 16);
constexpr u8 kInterruptGate = 0x8e;  // present, ring 0, interrupts off on entry

constinit CpuBlock boot_block{};
constinit Gate interrupt_table[256];

TrapStack stack_of(u32 vector) {
  switch (vector) {
    case 2:
      return TrapStack::kNmi;
    case 8:
      return TrapStack::kDoubleFault;
    case 18:
      return TrapStack::kMachineCheck;
    default:
      return vector < 32 ? TrapStack::kFault : TrapStack::kInterrupt;
  }
}

void fill_task_state(CpuBlock& block) {
  auto set = [&](TrapStack slot, u64 top) { block.task.stacks[static_cast<u32>(slot) - 1] = top; };
  block.task.io_map = sizeof(TaskState);  // past the end: no port is accessible to outer rings
  set(TrapStack::kDoubleFault, block.double_fault.top());
  set(TrapStack::kNmi, block.nmi.top());
  set(TrapStack::kMachineCheck, block.machine_check.top());
  set(TrapStack::kFault, block.fault.top());
  set(TrapStack::kInterrupt, block.interrupt.top());
}

void fill_segments(CpuBlock& block) {
  u64 base = reinterpret_cast<u64>(&block.task);
  u64 limit = sizeof(TaskState) - 1;
  block.gdt[1] = kCodeDescriptor;
  block.gdt[2] = kDataDescriptor;
  // A 64-bit available task state (type 9, present). The base is split into four pieces.
  block.gdt[3] = limit | (base & 0xffffff) << 16 | u64{0x89} << 40 | (base >> 24 & 0xff) << 56;
  block.gdt[4] = base >> 32;
}

}  // namespace

CpuBlock& boot_cpu_block() {
  return boot_block;
}

void init_interrupt_table() {
  for (u32 vector = 0; vector < 256; vector++) {
    u64 door = interrupt_doors[vector];
    interrupt_table[vector] = {.offset_low = static_cast<u16>(door),
                               .segment = kCode,
                               .stack = static_cast<u8>(stack_of(vector)),
                               .kind = kInterruptGate,
                               .offset_middle = static_cast<u16>(door >> 16),
                               .offset_high = static_cast<u32>(door >> 32),
                               .reserved = 0};
  }
}

void load_descriptors(CpuBlock& block) {
  fill_task_state(block);
  fill_segments(block);
  TablePointer gdt{sizeof block.gdt - 1, reinterpret_cast<u64>(block.gdt)};
  TablePointer idt{sizeof interrupt_table - 1, reinterpret_cast<u64>(interrupt_table)};
  asm volatile(
      "lgdt %0\n"
      "pushq %1\n"
      "leaq 1f(%%rip), %%rax\n"
      "pushq %%rax\n"
      "lretq\n"
      "1:\n"
      "movw %2, %%ax\n"
      "movw %%ax, %%ds\n"
      "movw %%ax, %%es\n"
      "movw %%ax, %%ss\n"
      "ltr %3\n"
      "lidt %4\n"
      :
      : "m"(gdt), "i"(kCode), "i"(kData), "r"(kTask), "m"(idt)
      : "rax", "memory");
  write_msr(msr::kGsBase, reinterpret_cast<u64>(&block.local));
}

std::array<const Byte*, 6> guards_of(const CpuBlock& block) {
  return {block.double_fault.guard, block.nmi.guard,       block.machine_check.guard,
          block.fault.guard,        block.interrupt.guard, block.main.guard};
}

Result<void> guard_stacks(CpuBlock& block) {
  for (const Byte* guard : guards_of(block)) TRY(paging::unmap_guard(reinterpret_cast<u64>(guard)));
  return {};
}

}  // namespace arch
