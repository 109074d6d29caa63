// SPDX-License-Identifier: GPL-2.0-or-later
// The twin's CPUs: pinned threads, sleep by futex, time, entropy, and the ends of the process.
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "arch/host/event_loop.h"
#include "arch/host/process.h"
#include "kernel/arch_contract.h"
#include "kernel/log.h"

namespace arch {
namespace {

// The kernel has a per-CPU register for this; the twin has a thread-local word.
__thread u32 this_cpu = 0;

cpu_set_t allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
  return set;
}
// Returns the process's CPUs as they were at the start, because pinning the main thread must not
// reduce them.
const cpu_set_t& initial_cpus() {
  static const cpu_set_t set = allowed_cpus();
  return set;
}

int nth_allowed(u32 index) {
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &initial_cpus()) && index-- == 0) return cpu;
  return -1;
}

void pin(u32 index) {
  int cpu = nth_allowed(index);
  if (cpu < 0) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  // A container may forbid it; the thread is then not pinned.
  if (pthread_setaffinity_np(pthread_self(), sizeof one, &one) != 0)
    log::debug("host", "cpu {} could not be pinned", index);
}

struct Start {
  u32 index;
  void (*entry)(void*);
  void* argument;
};

void* run_secondary(void* argument) {
  Start start = *static_cast<Start*>(argument);
  delete static_cast<Start*>(argument);
  this_cpu = start.index;
  pin(start.index);
  start.entry(start.argument);
  return nullptr;
}

// A pending wake-up of a secondary CPU. It replaces the machine's interrupt.
struct alignas(64) Doorbell {
  std::atomic<u32> pending{0};
  std::atomic<u64> timer{0};  // ticks; 0 = none
};
constexpr u32 kMaxCpus = 256;
Doorbell doorbells[kMaxCpus];

void sleep_until_rung(Doorbell& bell) {
  u64 timer = bell.timer.load(std::memory_order_relaxed);
  u64 now = Cpu::now_ticks();
  if (bell.pending.load() == 0 && (timer == 0 || timer > now)) {
    timespec limit{};
    if (timer != 0) {
      limit.tv_sec = static_cast<time_t>((timer - now) / 1'000'000'000);
      limit.tv_nsec = static_cast<long>((timer - now) % 1'000'000'000);
    }
    syscall(SYS_futex, &bell.pending, 0x80 /* WAIT | PRIVATE */, 0, timer == 0 ? nullptr : &limit,
            nullptr, 0);
  }
  bell.pending.store(0);
}

}  // namespace

u64 Cpu::now_ticks() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

TickRate Cpu::tick_rate() {
  return {1'000'000'000, "host"};
}

u32 Cpu::cpu_index() {
  return this_cpu;
}

u32 Cpu::cpu_count() {
  int count = CPU_COUNT(&initial_cpus());
  return static_cast<u32>(count < 1 ? 1 : count > int{kMaxCpus} ? int{kMaxCpus} : count);
}

Result<void> Cpu::start_secondary_cpu(u32 index, void (*entry)(void*), void* argument) {
  if (index == 0 || index >= cpu_count()) return fail(Errc::kOutOfRange, "no such cpu");
  pin(0);  // alone, the main thread need not be pinned; with workers each thread has its own core
  pthread_t thread;
  auto* start = new Start{index, entry, argument};
  if (pthread_create(&thread, nullptr, run_secondary, start) != 0) {
    delete start;
    return fail(Errc::kOutOfMemory, "the host refused a thread");
  }
  pthread_detach(thread);
  return {};
}

void Cpu::wait_for_interrupt() {
  if (this_cpu == 0)
    host::wait_for_events();
  else
    sleep_until_rung(doorbells[this_cpu]);
}

void Cpu::poll_interrupts() {
  constexpr u64 kIntervalNs = 1'000'000;
  static u64 last = 0;
  u64 now = now_ticks();
  if (now - last < kIntervalNs) return;
  last = now;
  host::poll_events();
}

void Cpu::wake_cpu(u32 index) {
  if (index == 0) return host::interrupt_wait();
  Doorbell& bell = doorbells[index];
  bell.pending.store(1);
  syscall(SYS_futex, &bell.pending, 0x81 /* WAKE | PRIVATE */, 1, nullptr, nullptr, 0);
}

void Cpu::report_cpu(u32 index) {
  log::warn("host", "cpu {} is a thread of process {}: attach a debugger to see where it is", index,
            static_cast<i32>(getpid()));
}

Result<void> Cpu::watch_boot_cpu(void (*)()) {
  return fail(Errc::kUnsupported, "not in the twin: use a debugger on the process");
}

void Cpu::set_timer(u64 ticks) {
  if (this_cpu == 0)
    host::set_wait_deadline(ticks);
  else
    doorbells[this_cpu].timer.store(ticks, std::memory_order_relaxed);
}

void Cpu::relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

// The worker pool limits this spin by its deadline and then sleeps. On a busy host the other side
// may wait for this very core: it is offered every some 20 us, or each wait would last a time
// slice.
void Cpu::wait_while_equal(const std::atomic<u32>& word, u32 value, u64 deadline_ticks) {
  for (u32 spins = 1; word.load(std::memory_order_acquire) == value; spins++) {
    relax();
    if (spins % 32 == 0 && now_ticks() >= deadline_ticks) return;
    if (spins % 512 == 0) sched_yield();
  }
}

Result<void> Cpu::guard_page(void* page) {
  if (mprotect(page, 4096, PROT_NONE) != 0) return fail(Errc::kOutOfMemory, "mprotect failed");
  return {};
}

void Cpu::unguard_page(void* page) {
  if (mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0)
    log::warn("host", "a guard page stayed inaccessible");
}

void Cpu::power_off(u32 code) {
  host::restore_terminal();
  _exit(static_cast<int>(code));
}

void Cpu::reboot() {
  host::restore_terminal();
  host::run_again();
  std::perror("marrow: cannot start again");
  _exit(1);
}

Result<u64> Cpu::hardware_random() {
  u64 word = 0;
  if (getrandom(&word, sizeof word, 0) == sizeof word) return word;
  return fail(Errc::kUnsupported, "the host gives no random numbers");
}

u64 Cpu::random_seed() {
  return hardware_random().value_or(now_ticks());
}

}  // namespace arch
