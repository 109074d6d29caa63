// SPDX-License-Identifier: GPL-2.0-or-later
// x86_64's half of kernel/arch_contract.h: the hot parts inline, the rest in cpu, timer, smp,
// power.
#pragma once

#include <atomic>

#include "kernel/base/cpu_features.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"

struct BootInfo;
struct TickRate;

// Set at the first C++ line from arch::Cpu::random_seed; gcc's -fstack-protector-strong reads it.
extern "C" u64 __stack_chk_guard;
// context.asm
extern "C" void context_switch(u64* from, u64 to);
extern "C" void context_start();

namespace arch {

// A saved cooperative thread: everything else lies on its stack.
struct Context {
  u64 stack_pointer = 0;
};

// What each CPU finds through its GS base.
struct CpuLocal {
  CpuLocal* self = this;
  u32 index = 0;    // 0 = the boot CPU
  u32 apic_id = 0;  // of the local interrupt controller
  // Has an interrupt come since the last wait_for_interrupt? So none is slept through.
  std::atomic<bool> interrupted{false};
};

struct Cpu {
  static constexpr usize kMinimumStackBytes = 16 * kKiB;

  static u64 now_ticks() { return __builtin_ia32_rdtsc(); }
  static TickRate tick_rate();  // at most 10 ms, at the first call

  static u32 cpu_index() {
    u32 index;
    asm("mov %%gs:%c1, %0" : "=r"(index) : "i"(offsetof(CpuLocal, index)));
    return index;
  }
  static u32 cpu_count();
  static Result<void> start_secondary_cpu(u32 index, void (*entry)(void*), void* argument);
  static CpuFeatures cpu_features();

  static bool disable_interrupts() {
    u64 flags;
    asm volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return (flags & 1u << 9) != 0;
  }
  static void restore_interrupts(bool on) {
    if (on) asm volatile("sti" : : : "memory");
  }
  static void wait_for_interrupt();
  static void wake_cpu(u32 index);
  static void poll_interrupts() {}    // they come by themselves
  static void report_cpu(u32 index);  // by NMI, so even where interrupts are off
  static Result<void> watch_boot_cpu(void (*tick)());
  static void set_timer(u64 ticks);

  static void relax() { asm volatile("pause" : : : "memory"); }
  static void wait_while_equal(const std::atomic<u32>& word, u32 value, u64 deadline_ticks);

  static void init_context(Context& to, u64 stack_top, void (*entry)(void*), void* argument);
  static void switch_context(Context& from, Context& to) {
    context_switch(&from.stack_pointer, to.stack_pointer);
  }

  static Result<void> guard_page(void* page);
  static void unguard_page(void* page);

  static void power_off(u32 code);
  static void reboot();
  static Result<u64> hardware_random();
  static u64 random_seed();
};

// ---- boot ----------------------------------------------------------------------------------

// Traps, vector state, protection bits, the final page tables: after it every fault is reported.
void init_boot_cpu(BootInfo& boot);
// ACPI tables, interrupt controllers, the list of CPUs. Interrupts still off. No allocation.
void init_platform(const BootInfo& boot);

// ---- other CPUs ----------------------------------------------------------------------------

bool cpu_started(u32 index);  // has it reached its entry?
// Stops every other CPU for good. Panic context.
void stop_other_cpus();

// Of the calling CPU.
inline CpuLocal& this_cpu() {
  CpuLocal* self;
  asm("mov %%gs:%c1, %0" : "=r"(self) : "i"(offsetof(CpuLocal, self)));
  return *self;
}

[[noreturn]] inline void halt_forever() {
  for (;;) asm volatile("cli; hlt" : : : "memory");
}

// How the calling CPU is, as far as it says so.
struct CpuHealth {
  u32 celsius = 0, megahertz = 0;  // 0 = not readable
  u64 actual = 0, nominal = 0;     // counters that the next call goes on from
};
// The clock is the mean since `before`, which an earlier call returned.
CpuHealth read_health(const CpuHealth& before);

// A row a CPU property for the `cpu` command: brand, family, caches, modes.
void describe_cpu(base::Writer& out);

}  // namespace arch
