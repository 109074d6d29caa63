// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the CPU contract with a Linux process: threads for CPUs, nanoseconds for ticks, an
// event loop for interrupts.
#pragma once

#include <ucontext.h>

#include <atomic>

#include "kernel/base/cpu_features.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"

struct BootInfo;
struct TickRate;

namespace arch {

struct Context {
  ucontext_t machine;
  void (*entry)(void*);
  void* argument;
  const void* stack_bottom;  // for AddressSanitizer, which tracks every stack
  usize stack_bytes;
  void* fake_stack;
};

struct Cpu {
  // Enough for libc and sanitized frames. Untouched pages cost nothing here.
  static constexpr u16 kElfMachine = 62;  // EM_X86_64
  static constexpr usize kMinimumStackBytes = usize{512} << 10;

  static u64 now_ticks();  // CLOCK_MONOTONIC in ns
  static TickRate tick_rate();
  static u32 cpu_index();
  static u32 cpu_count();  // CPUs that this process may use
  static Result<void> start_secondary_cpu(u32 index, void (*entry)(void*), void* argument);
  static CpuFeatures cpu_features();
  static bool disable_interrupts() { return true; }  // handlers run only where a CPU waits
  static void restore_interrupts(bool) {}
  static void wait_for_interrupt();
  static void poll_interrupts();  // at most once a millisecond
  static void wake_cpu(u32 index);
  static void report_cpu(u32 index);
  static Result<void> watch_boot_cpu(void (*tick)());
  static void set_timer(u64 ticks);
  static void relax();
  static void wait_while_equal(const std::atomic<u32>& word, u32 value, u64 deadline_ticks);
  static void init_context(Context& context, u64 stack_end, void (*entry)(void*), void* argument);
  static void switch_context(Context& from, Context& to);
  static Result<void> guard_page(void* page);
  static void unguard_page(void* page);
  static void power_off(u32 code);
  static void reboot();
  static Result<u64> hardware_random();
  static u64 random_seed();
};

// The host's kernel did all of this before main().
inline void init_boot_cpu(BootInfo&) {}
inline void init_platform(const BootInfo&) {}

// Temperature and clock rate are known only to the host.
struct CpuHealth {
  u32 celsius = 0, megahertz = 0;  // 0 = not readable
};
inline CpuHealth read_health(const CpuHealth&) {
  return {};
}

void describe_cpu(base::Writer& out);  // one row per property, for the `cpu` command

}  // namespace arch
