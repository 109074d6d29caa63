// SPDX-License-Identifier: GPL-2.0-or-later
// What generic code asks of a CPU architecture, checked by the compiler. kernel/arch_machine.h is
// what it asks besides where there is a bare machine.
//
// arch/cpu.h comes by include path (-I arch/$(ARCH)/include) and defines struct arch::Cpu with
// these static members, and struct arch::Context (a saved cooperative thread).
#pragma once

#include <arch/cpu.h>

#include <atomic>
#include <concepts>

#include "kernel/base/cpu_features.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"

struct BootInfo;

using ThreadEntry = void (*)(void* argument);

struct TickRate {
  u64 per_second;      // 0 = no source to calibrate against was found
  const char* source;  // "hpet", "pit", "acpi-pm", "cpuid", "host"
};

template <class A, class Context>
concept ArchContract = requires(u64 x, u32 n, bool on, ThreadEntry entry, void* p, void (*tick)(),
                                Context& from, Context& to, const std::atomic<u32>& word) {
  // Time. Ticks are monotonic and the same on every CPU; ns come from kernel/time.
  { A::now_ticks() } -> std::same_as<u64>;
  { A::tick_rate() } -> std::same_as<TickRate>;  // measured by the first call, at boot
  // CPUs. Index 0 is the boot CPU; indices are dense.
  { A::cpu_index() } -> std::same_as<u32>;
  { A::cpu_count() } -> std::same_as<u32>;  // present in the machine; some may not be started
  // Again for an index whose CPU has not answered: where the machine has others, the next one takes
  // its place, and cpu_count() is one less; kNotFound when there is none.
  { A::start_secondary_cpu(n, entry, p) } -> std::same_as<Result<void>>;
  { A::cpu_features() } -> std::same_as<CpuFeatures>;
  // Interrupts of the calling CPU. wait_for_interrupt() enables them, sleeps, returns enabled.
  { A::disable_interrupts() } -> std::same_as<bool>;  // returns whether they were on
  { A::restore_interrupts(on) } -> std::same_as<void>;
  { A::wait_for_interrupt() } -> std::same_as<void>;
  // Makes wait_for_interrupt of CPU `n` return, now or at its next call. Any context.
  { A::wake_cpu(n) } -> std::same_as<void>;
  // Runs handlers that are due where interrupts do not come by themselves (the twin). Cheap.
  { A::poll_interrupts() } -> std::same_as<void>;
  // Logs where CPU `n` is (its backtrace), even with its interrupts off. For the watchdog.
  { A::report_cpu(n) } -> std::same_as<void>;
  // Calls tick() on the boot CPU some 18 times a second even where its interrupts are off, for a
  // machine without another CPU to look after it; report_cpu(0) then works inside. An error where
  // there is no such timer.
  { A::watch_boot_cpu(tick) } -> std::same_as<Result<void>>;
  // Asks for a timer interrupt of this CPU at `x` ticks (0 = none). Only wakes the sleeper.
  { A::set_timer(x) } -> std::same_as<void>;
  // Spinning. wait_while_equal returns when *word != n, or `x` ticks have come, or at any time.
  { A::relax() } -> std::same_as<void>;
  { A::wait_while_equal(word, n, x) } -> std::same_as<void>;
  // Cooperative threads. init_context prepares `to` to call entry(p) on the stack that ends at x.
  { A::kMinimumStackBytes } -> std::convertible_to<usize>;
  { A::init_context(to, x, entry, p) } -> std::same_as<void>;
  { A::switch_context(from, to) } -> std::same_as<void>;
  // The 4 KiB page at `p`: inaccessible (a stack guard), and ordinary memory again.
  { A::guard_page(p) } -> std::same_as<Result<void>>;
  { A::unguard_page(p) } -> std::same_as<void>;
  // Ends. power_off(code): 0 = success; the code reaches QEMU's or the process's exit status.
  { A::power_off(n) } -> std::same_as<void>;
  { A::reboot() } -> std::same_as<void>;
  { A::hardware_random() } -> std::same_as<Result<u64>>;  // fit for secrets, or kUnsupported
  { A::random_seed() } -> std::same_as<u64>;  // hardware entropy, else time; for canaries and ids
};

// How the machine comes up, and what a person may ask of it. Boot is BootInfo.
template <class Boot, class Health>
concept StartContract = requires(Boot& boot, const Health& before, base::Writer& out) {
  { arch::init_boot_cpu(boot) } -> std::same_as<void>;    // after it every fault is reported
  { arch::init_platform(boot) } -> std::same_as<void>;    // interrupts and CPUs, no allocation
  { arch::read_health(before) } -> std::same_as<Health>;  // of the calling CPU, since `before`
  { before.celsius } -> std::convertible_to<u32>;         // 0 = not readable, as is
  { before.megahertz } -> std::convertible_to<u32>;
  { arch::describe_cpu(out) } -> std::same_as<void>;  // a row a property
};

static_assert(ArchContract<arch::Cpu, arch::Context>);
static_assert(StartContract<BootInfo, arch::CpuHealth>);
