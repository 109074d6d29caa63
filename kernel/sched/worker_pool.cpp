// SPDX-License-Identifier: GPL-2.0-or-later
// The pool of pinned workers: CPU 0 publishes a task and raises the generation; each worker runs
// it and writes that generation into its own cache line, which CPU 0 watches.
//
// A worker without work spins for kSpinNs, so that the next step of a token finds it awake, and
// then sleeps until CPU 0 wakes it, so that an idle machine is cool.
#include "kernel/sched/worker_pool.h"

#include <algorithm>

#include "kernel/arch_contract.h"
#include "kernel/log.h"
#include "kernel/sched/context.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "kernel/trace.h"

namespace sched {
namespace {

constexpr u32 kMaxWorkers = 256;
constexpr u64 kSpinNs = 150'000;
constexpr u64 kBarrierSpinNs = 200'000;  // after it the other side is not running: sleep
// Looks at a word before the first at the clock, which takes as long as one or two of them: most
// steps begin and end within them.
constexpr u32 kQuickLooks = 32;
// A CPU that does not come up in this time is left out. It takes 1 ms, but an emulator's may have
// to wait until its host has time.
constexpr u64 kStartNs = 2'000'000'000;
constexpr u32 kAwaited = 0, kStarted = 1, kGivenUp = 2;  // a word to wait on

// A line a worker: written by it, read by CPU 0.
struct alignas(64) Slot {
  std::atomic<u32> finished{0};  // the last generation it completed
  std::atomic<u32> sleeping{0};
  std::atomic<u32> start{kAwaited};
  u64 sleeps = 0;
};

// A line of its own: written by CPU 0 at each step, read by all workers.
struct alignas(64) Step {
  std::atomic<u32> generation{0};
  std::atomic<u32> sleeper{0};  // 1: CPU 0 sleeps at the barrier
  void (*task)(void*, u32) = nullptr;
  void* context = nullptr;
};

constinit Step step;
constinit Slot slots[kMaxWorkers];
u32 workers = 1;
bool boot_cpu_watched = false;  // by another CPU, or by a timer that interrupts where others do not
std::atomic<u64> stall_ns{5'000'000'000};
u64 barrier_ns = 0;
std::atomic<u64> steps{0}, stalls{0};

// Whose the pool is. Threads that find it taken draw a number and sleep, and each that leaves calls
// the next number: nobody overtakes, and with N threads nobody waits for more than N - 1 tasks.
// Only threads of CPU 0 come here, so plain words are enough.
class PoolQueue {
 public:
  void enter() {
    const Thread* self = current();
    if (taken_) {
      ASSERT(user_ != self);  // a task does not run another
      wait();
    }
    taken_ = true;
    user_ = self;
  }
  void leave() {
    user_ = nullptr;
    taken_ = last_drawn_ != called_;
    if (taken_) call_next();
  }

 private:
  void wait() {
    u32 number = ++last_drawn_;
    while (called_ != number) queue_.wait();  // wakes in the order of the numbers
  }
  // The pool stays taken until the thread that is called runs, so whoever asks meanwhile queues.
  void call_next() {
    called_++;
    queue_.wake_one();
  }

  bool taken_ = false;
  const Thread* user_ = nullptr;
  u32 last_drawn_ = 0, called_ = 0;
  WaitQueue queue_;
};
constinit PoolQueue pool;

// Notices when CPU 0 is neither idle nor scheduling. Worker 1's work; without a second CPU that of
// a timer which interrupts CPU 0 whatever it does.
struct BootCpuWatch {
  u64 beat = 0, since_ns = 0;
  bool reported = false;

  static u64 interval_ns() {
    u64 limit = stall_ns.load(std::memory_order_relaxed);
    return std::clamp<u64>(limit / 2, 10'000'000, 1'000'000'000);
  }
  void check() {
    u64 limit = stall_ns.load(std::memory_order_relaxed);
    u64 now = timing::now_ns();
    u64 seen = heartbeat() + steps.load(std::memory_order_relaxed);
    if (limit == 0 || idle() || seen != beat || since_ns == 0) {
      beat = seen;
      since_ns = now;
      reported = false;
      return;
    }
    if (reported || now - since_ns < limit) return;
    reported = true;
    stalls.fetch_add(1);
    log::set_echo_from_any_cpu(true);
    log::error("watchdog", "cpu 0 has not scheduled for {} ms", (now - since_ns) / 1'000'000);
    arch::Cpu::report_cpu(0);
    log::set_echo_from_any_cpu(false);
  }
};

// False when `word` is still `value` after the quick looks.
bool changes_soon(const std::atomic<u32>& word, u32 value) {
  for (u32 i = 0; i < kQuickLooks; i++) {
    if (word.load(std::memory_order_acquire) != value) return true;
    arch::Cpu::relax();
  }
  return false;
}

// Returns when the generation is no longer `seen`.
void wait_for_step(Slot& slot, u32 seen, BootCpuWatch* watch) {
  if (changes_soon(step.generation, seen)) return;
  u64 deadline = arch::Cpu::now_ticks() + timing::ticks_from_ns(kSpinNs);
  while (step.generation.load(std::memory_order_acquire) == seen) {
    arch::Cpu::wait_while_equal(step.generation, seen, deadline);
    if (step.generation.load(std::memory_order_acquire) != seen) return;
    if (arch::Cpu::now_ticks() < deadline) continue;
    if (watch != nullptr) {
      watch->check();
      arch::Cpu::set_timer(arch::Cpu::now_ticks() + timing::ticks_from_ns(watch->interval_ns()));
    }
    bool on = arch::Cpu::disable_interrupts();
    // Pairs with publish(): either we see the new generation, or CPU 0 sees us asleep.
    slot.sleeping.store(1, std::memory_order_seq_cst);
    if (step.generation.load(std::memory_order_seq_cst) == seen) {
      slot.sleeps++;
      arch::Cpu::wait_for_interrupt();
    }
    slot.sleeping.store(0, std::memory_order_relaxed);
    arch::Cpu::restore_interrupts(on);
  }
}

void worker_loop(void* argument) {
  auto index = static_cast<u32>(reinterpret_cast<u64>(argument));
  Slot& slot = slots[index];
  BootCpuWatch watch;
  u32 seen = step.generation.load(std::memory_order_acquire);
  slot.finished.store(seen, std::memory_order_relaxed);
  u32 awaited = kAwaited;  // too late: CPU 0 counts on those that it knows
  if (!slot.start.compare_exchange_strong(awaited, kStarted)) return;
  for (;;) {
    wait_for_step(slot, seen, index == 1 ? &watch : nullptr);
    // CPU 0 publishes the next step only after this one, so none is ever skipped.
    seen++;
    trace::Zone zone("part of a step");  // CPU 0 does not wait for its end
    step.task(step.context, index);
    slot.finished.store(seen, std::memory_order_seq_cst);
    if (step.sleeper.load(std::memory_order_seq_cst) != 0) arch::Cpu::wake_cpu(0);
  }
}

bool start_worker(u32 index) {
  auto started =
      arch::Cpu::start_secondary_cpu(index, worker_loop, reinterpret_cast<void*>(u64{index}));
  if (!started.has_value()) {
    log::warn("sched", "cpu {} did not start: {}", index, started.error());
    return false;
  }
  u64 deadline = timing::now_ns() + kStartNs;
  Slot& slot = slots[index];
  while (slot.start.load(std::memory_order_acquire) == kAwaited && timing::now_ns() < deadline)
    arch::Cpu::wait_while_equal(slot.start, kAwaited, timing::ticks_at(deadline));
  u32 awaited = kAwaited;
  if (!slot.start.compare_exchange_strong(awaited, kGivenUp)) return true;
  log::warn("sched", "cpu {} did not answer within {} ms", index, kStartNs / 1'000'000);
  return false;
}

u32 publish(void (*task)(void*, u32), void* context) {
  step.task = task;
  step.context = context;
  u32 generation = step.generation.load(std::memory_order_relaxed) + 1;
  step.generation.store(generation, std::memory_order_seq_cst);
  for (u32 w = 1; w < workers; w++)
    if (slots[w].sleeping.load(std::memory_order_seq_cst) != 0) arch::Cpu::wake_cpu(w);
  return generation;
}

void report_stall(u32 worker, u64 waited_ns) {
  stalls.fetch_add(1);
  log::error("watchdog", "cpu {} has not finished its part of a step for {} ms", worker,
             waited_ns / 1'000'000);
  arch::Cpu::report_cpu(worker);
}

// CPU 0 sleeps at the barrier until the worker it waits for, or a timer, wakes it.
void sleep_at_barrier(Slot& slot, u32 seen, u64 deadline) {
  bool on = arch::Cpu::disable_interrupts();
  step.sleeper.store(1, std::memory_order_seq_cst);
  if (slot.finished.load(std::memory_order_seq_cst) == seen) {
    arch::Cpu::set_timer(deadline);
    arch::Cpu::wait_for_interrupt();
  }
  step.sleeper.store(0, std::memory_order_relaxed);
  arch::Cpu::restore_interrupts(on);
}

void wait_for_worker(u32 worker, u32 generation, bool& reported) {
  Slot& slot = slots[worker];
  if (slot.finished.load(std::memory_order_acquire) == generation) return;
  u32 before = generation - 1;  // every worker had finished the step before
  if (changes_soon(slot.finished, before)) return;
  u64 start = arch::Cpu::now_ticks();
  u64 limit = stall_ns.load(std::memory_order_relaxed);
  u64 spin_end = start + timing::ticks_from_ns(kBarrierSpinNs);
  u64 stalled_at = start + timing::ticks_from_ns(limit);
  for (u32 seen = slot.finished.load(std::memory_order_acquire); seen != generation;
       seen = slot.finished.load(std::memory_order_acquire)) {
    u64 now = arch::Cpu::now_ticks();
    if (now < spin_end) {
      arch::Cpu::wait_while_equal(slot.finished, seen, spin_end);
    } else if (limit != 0 && !reported && now >= stalled_at) {
      report_stall(worker, timing::ns_from_ticks(now - start));
      reported = true;
    } else {
      sleep_at_barrier(slot, seen, limit == 0 || reported ? 0 : stalled_at);
    }
  }
}

}  // namespace

bool boot_cpu_is_watched() {
  return boot_cpu_watched;
}

void start_workers(u32 limit) {
  u32 present = std::min(arch::Cpu::cpu_count(), kMaxWorkers);
  u32 wanted = limit == 0 ? present : std::min(limit, present);
  // Worker numbers are dense, so the first CPU that fails ends the list.
  while (workers < wanted && start_worker(workers)) workers++;
  log::info("sched", "{} of {} cpus work", workers, present);
  boot_cpu_watched = workers > 1;
  if (workers > 1) return;
  static constinit BootCpuWatch alone;
  Result<void> watched = arch::Cpu::watch_boot_cpu([] { alone.check(); });
  boot_cpu_watched = watched.has_value();
  if (!watched.has_value()) log::info("watchdog", "nobody watches cpu 0: {}", watched.error());
}

u32 worker_count() {
  return workers;
}

void run_on_workers(void (*task)(void* context, u32 worker), void* context) {
  assert_thread();
  pool.enter();
  steps.store(steps.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (workers == 1) {
    trace::Zone zone("step");
    task(context, 0);
  } else {
    u32 generation = publish(task, context);
    trace::Zone zone("step");  // while the others wake up
    task(context, 0);
    u64 done = arch::Cpu::now_ticks();
    bool reported = false;
    for (u32 w = 1; w < workers; w++) wait_for_worker(w, generation, reported);
    barrier_ns += timing::ns_from_ticks(arch::Cpu::now_ticks() - done);
  }
  pool.leave();
}

void set_stall_limit(u64 ns) {
  stall_ns.store(ns);
}

u64 stall_limit() {
  return stall_ns.load();
}

WorkerCounters worker_counters() {
  WorkerCounters c{.steps = steps.load(), .stalls = stalls.load(), .wait_ns = barrier_ns};
  for (u32 w = 1; w < workers; w++) c.sleeps += slots[w].sleeps;
  return c;
}

}  // namespace sched
