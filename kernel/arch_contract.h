// SPDX-License-Identifier: GPL-2.0-or-later
// The contract between generic code and a CPU architecture, checked by the compiler.
// kernel/arch_machine.h has the second part, for architectures that run on a bare machine.
//
// The build finds arch/cpu.h by include path (-I arch/$(ARCH)/include). It defines struct arch::Cpu
// with these static members, and struct arch::Context (a saved cooperative thread).
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
  u64 per_second;      // 0 = there was no clock to calibrate against
  const char* source;  // "hpet", "pit", "acpi-pm", "cpuid", "host"
};

template <class A, class Context>
concept ArchContract = requires(u64 x, u32 n, bool on, ThreadEntry entry, void* p, void (*tick)(),
                                Context& from, Context& to, const std::atomic<u32>& word) {
  // Time. Ticks are monotonic and the same on every CPU; ns come from kernel/time.
  { A::now_ticks() } -> std::same_as<u64>;
  { A::tick_rate() } -> std::same_as<TickRate>;  // the first call, at boot, measures it
  // CPUs. Index 0 is the boot CPU. Indices have no gaps.
  { A::cpu_index() } -> std::same_as<u32>;
  { A::cpu_count() } -> std::same_as<u32>;  // present in the machine; some may not be started
  // Again for an index whose CPU has not answered: where the machine has others, the next one takes
  // its place, and cpu_count() is one less; kNotFound when there is none.
  { A::start_secondary_cpu(n, entry, p) } -> std::same_as<Result<void>>;
  { A::cpu_features() } -> std::same_as<CpuFeatures>;
  // Interrupts of the calling CPU. wait_for_interrupt() enables them, sleeps, and returns with them
  // enabled.
  { A::disable_interrupts() } -> std::same_as<bool>;  // returns whether they were on
  { A::restore_interrupts(on) } -> std::same_as<void>;
  { A::wait_for_interrupt() } -> std::same_as<void>;
  // Makes wait_for_interrupt() of CPU `n` return, now or at its next call. Any context.
  { A::wake_cpu(n) } -> std::same_as<void>;
  // Runs due handlers where interrupts do not come by themselves (the twin). Cheap.
  { A::poll_interrupts() } -> std::same_as<void>;
  // Logs the backtrace of CPU `n`, even if its interrupts are off. For the watchdog.
  { A::report_cpu(n) } -> std::same_as<void>;
  // Calls tick() on the boot CPU about 18 times a second, even while its interrupts are off, on a
  // machine that has no other CPU to watch it. report_cpu(0) works inside tick(). Returns an error
  // if there is no such timer.
  { A::watch_boot_cpu(tick) } -> std::same_as<Result<void>>;
  // Requests a timer interrupt of this CPU at `x` ticks (0 = none). It only wakes a sleeping CPU.
  { A::set_timer(x) } -> std::same_as<void>;
  // Spinning. wait_while_equal() returns when *word != n, at `x` ticks, or earlier.
  { A::relax() } -> std::same_as<void>;
  { A::wait_while_equal(word, n, x) } -> std::same_as<void>;
  // Cooperative threads. init_context() prepares `to` to call entry(p) on the stack that ends at x.
  { A::kMinimumStackBytes } -> std::convertible_to<usize>;
  { A::init_context(to, x, entry, p) } -> std::same_as<void>;
  { A::switch_context(from, to) } -> std::same_as<void>;
  // Makes the 4 KiB page at `p` inaccessible (a stack guard), and accessible again.
  { A::guard_page(p) } -> std::same_as<Result<void>>;
  { A::unguard_page(p) } -> std::same_as<void>;
  // power_off(code): 0 = success. The code becomes QEMU's or the process's exit status.
  { A::power_off(n) } -> std::same_as<void>;
  { A::reboot() } -> std::same_as<void>;
  // ELF's e_machine of kernels for this CPU.
  { A::kElfMachine } -> std::convertible_to<u16>;
  // good enough for secrets, or kUnsupported
  { A::hardware_random() } -> std::same_as<Result<u64>>;
  // from the hardware if possible, otherwise from the time; for canaries and ids
  { A::random_seed() } -> std::same_as<u64>;
};

// How the machine comes up, and what people may ask about it. `Boot` is BootInfo.
template <class Boot, class Health>
concept StartContract = requires(Boot& boot, const Health& before, base::Writer& out) {
  { arch::init_boot_cpu(boot) } -> std::same_as<void>;    // afterwards every fault is reported
  { arch::init_platform(boot) } -> std::same_as<void>;    // interrupts and CPUs, no allocation
  { arch::read_health(before) } -> std::same_as<Health>;  // of the calling CPU, since `before`
  { before.celsius } -> std::convertible_to<u32>;         // 0 = not readable
  { before.megahertz } -> std::convertible_to<u32>;
  { arch::describe_cpu(out) } -> std::same_as<void>;  // one row per property
};

static_assert(ArchContract<arch::Cpu, arch::Context>);
static_assert(StartContract<BootInfo, arch::CpuHealth>);
