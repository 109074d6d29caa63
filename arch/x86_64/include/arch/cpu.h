// SPDX-License-Identifier: GPL-2.0-or-later
// x86_64's part of kernel/arch_contract.h: hot parts are inline, the rest is in cpu, timer, smp and
// power.
#pragma once

#include <atomic>

#include "kernel/base/cpu_features.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"

struct BootInfo;
struct TickRate;

// Set from arch::Cpu::random_seed() on the first C++ line; gcc's -fstack-protector-strong reads it.
extern "C" u64 __stack_chk_guard;
// Implemented in context.asm.
extern "C" void context_switch(u64* from, u64 to);
extern "C" void context_start();

namespace arch {

// A saved cooperative thread. Everything else is on its stack.
struct Context {
  u64 stack_pointer = 0;
};

// The data that each CPU finds through its GS base.
struct CpuLocal {
  CpuLocal* self = this;
  u32 index = 0;    // 0 = the boot CPU
  u32 apic_id = 0;  // number of the local interrupt controller
  // An interrupt came since the last wait_for_interrupt(), which must then not sleep.
  std::atomic<bool> interrupted{false};
};

struct Cpu {
  static constexpr u16 kElfMachine = 62;  // EM_X86_64
  static constexpr usize kMinimumStackBytes = 16 * kKiB;

  static u64 now_ticks() { return __builtin_ia32_rdtsc(); }
  static TickRate tick_rate();  // takes at most 10 ms, at the first call

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
  static void poll_interrupts() {}    // interrupts come by themselves
  static void report_cpu(u32 index);  // by NMI, so it works even with interrupts off
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

// Sets up traps, vector state, protection bits and the final page tables. Afterwards every fault is
// reported.
void init_boot_cpu(BootInfo& boot);
// Reads ACPI tables and sets up interrupt controllers and the list of CPUs. Interrupts stay off. No
// allocation.
void init_platform(const BootInfo& boot);

// ---- other CPUs ----------------------------------------------------------------------------

bool cpu_started(u32 index);  // whether it has reached its entry
// Stops every other CPU for ever. For panics.
void stop_other_cpus();

// Returns the data of the calling CPU.
inline CpuLocal& this_cpu() {
  CpuLocal* self;
  asm("mov %%gs:%c1, %0" : "=r"(self) : "i"(offsetof(CpuLocal, self)));
  return *self;
}

[[noreturn]] inline void halt_forever() {
  for (;;) asm volatile("cli; hlt" : : : "memory");
}

// The health of the calling CPU, as far as it can be read.
struct CpuHealth {
  u32 celsius = 0, megahertz = 0;  // 0 = not readable
  u64 actual = 0, nominal = 0;     // counters from which the next call continues
};
// The clock rate is the mean since `before`, which an earlier call returned.
CpuHealth read_health(const CpuHealth& before);

// Prints one row per CPU property for the `cpu` command: brand, family, caches, modes.
void describe_cpu(base::Writer& out);

}  // namespace arch
