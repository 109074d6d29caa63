// SPDX-License-Identifier: GPL-2.0-or-later
// Satisfies kernel/arch_contract.h for ARM64. Hot functions are inline. The others are in cpu.cpp,
// timer.cpp, smp.cpp and psci.cpp.
#pragma once

#include <atomic>

#include "kernel/base/cpu_features.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"

struct BootInfo;
struct TickRate;

// The canary that gcc's -fstack-protector-strong reads. aarch64_entry sets it from
// arch::Cpu::random_seed.
extern "C" u64 __stack_chk_guard;
// Both are defined in context.S.
extern "C" void context_switch(u64* from, u64 to);
extern "C" void context_start();

namespace arch {

// A saved cooperative thread. Everything else lies on its stack.
struct Context {
  u64 stack_pointer = 0;
};

// The data that each CPU finds through TPIDR_EL1.
struct CpuLocal {
  CpuLocal* self = this;
  u32 index = 0;  // 0 = the boot CPU
  // True if an interrupt has come since the last wait_for_interrupt, which then must not sleep.
  std::atomic<bool> interrupted{false};
  u64 emergency_stack = 0;  // its top; vectors.S reads it
  u64 affinity = 0;         // MPIDR_EL1, without its flags
};
static_assert(offsetof(CpuLocal, emergency_stack) == 16);

struct Cpu {
  static constexpr u16 kElfMachine = 183;  // EM_AARCH64
  static constexpr usize kMinimumStackBytes = 16 * kKiB;

  // Without the barrier the counter may be read before earlier instructions (Arm ARM D12.2).
  static u64 now_ticks() {
    u64 ticks;
    asm volatile("isb\n mrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
  }
  static TickRate tick_rate();

  static u32 cpu_index() {
    CpuLocal* local;
    asm("mrs %0, tpidr_el1" : "=r"(local));
    return local->index;
  }
  static u32 cpu_count();
  static Result<void> start_secondary_cpu(u32 index, void (*entry)(void*), void* argument);
  static CpuFeatures cpu_features();

  static bool disable_interrupts() {
    u64 flags;
    asm volatile("mrs %0, daif\n msr daifset, #2" : "=r"(flags) : : "memory");
    return (flags & 1u << 7) == 0;
  }
  static void restore_interrupts(bool on) {
    if (on) asm volatile("msr daifclr, #2" : : : "memory");
  }
  static void wait_for_interrupt();
  static void wake_cpu(u32 index);
  static void poll_interrupts() {}    // no polling is needed
  static void report_cpu(u32 index);  // by a message, which waits while interrupts are off
  static Result<void> watch_boot_cpu(void (*tick)());
  static void set_timer(u64 ticks);

  static void relax() { asm volatile("yield" : : : "memory"); }
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

// Maps all of RAM and unmaps the guard pages. After it every fault is reported.
void init_boot_cpu(BootInfo& boot);
// Sets up the interrupt controller and the list of CPUs. Interrupts are still off.
void init_platform(const BootInfo& boot);

// ---- other CPUs ----------------------------------------------------------------------------

bool cpu_started(u32 index);  // has it reached its entry?
// Stops every other CPU for good. Panic context.
void stop_other_cpus();

// Returns the data of the calling CPU.
inline CpuLocal& this_cpu() {
  CpuLocal* self;
  asm("mrs %0, tpidr_el1" : "=r"(self));
  return *self;
}

[[noreturn]] inline void halt_forever() {
  for (;;) asm volatile("msr daifset, #15\n wfi" : : : "memory");
}

// All values stay 0, because no register for them exists on every ARM64 CPU.
struct CpuHealth {
  u32 celsius = 0, megahertz = 0;
};
CpuHealth read_health(const CpuHealth& before);

// Writes a row for each property of the CPU for the `cpu` command: name, caches, features,
// interrupt controller.
void describe_cpu(base::Writer& out);

}  // namespace arch
