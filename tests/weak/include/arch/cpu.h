// SPDX-License-Identifier: GPL-2.0-or-later
// The CPU contract inside the explorer: a fiber for each CPU, a clock that advances only where code
// waits for it, and interrupts that only wake. Deadlines may pass at any wait. Timers never fire,
// so a lost wake ends as a run in which no thread can go on.
#pragma once

#include <atomic>

#include "kernel/base/cpu_features.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"

struct BootInfo;
struct TickRate;

namespace arch {

struct Context {};

struct Cpu {
  static constexpr u16 kElfMachine = 62;  // EM_X86_64
  static constexpr usize kMinimumStackBytes = 4096;

  static u64 now_ticks();
  static TickRate tick_rate();
  static u32 cpu_index();
  static u32 cpu_count();
  static Result<void> start_secondary_cpu(u32 index, void (*entry)(void*), void* argument);
  static CpuFeatures cpu_features();
  static bool disable_interrupts() { return true; }
  static void restore_interrupts(bool) {}
  static void wait_for_interrupt();
  static void poll_interrupts() {}
  static void wake_cpu(u32 index);
  static void report_cpu(u32) {}
  static Result<void> watch_boot_cpu(void (*tick)());
  static void set_timer(u64) {}
  static void relax();
  static void wait_while_equal(const std::atomic<u32>& word, u32 value, u64 deadline_ticks);
  static void init_context(Context&, u64, void (*)(void*), void*) {}
  static void switch_context(Context&, Context&) {}
  static Result<void> guard_page(void*);
  static void unguard_page(void*) {}
  static void power_off(u32) {}
  static void reboot() {}
  static Result<u64> hardware_random();
  static u64 random_seed() { return 1; }
};

inline void init_boot_cpu(BootInfo&) {}
inline void init_platform(const BootInfo&) {}

struct CpuHealth {
  u32 celsius = 0, megahertz = 0;
};
inline CpuHealth read_health(const CpuHealth&) {
  return {};
}
inline void describe_cpu(base::Writer&) {}

}  // namespace arch
