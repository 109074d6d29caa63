// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the pool of pinned workers. CPU 0 publishes a task and raises the generation counter.
// Each worker runs the task and writes the generation into its own cache line, which CPU 0 watches.
//
// A worker without work spins for kSpinNs, so that it is awake when the next operation of a step
// follows, and then sleeps until CPU 0 wakes it, so that an idle machine stays cool.
#include "kernel/sched/worker_pool.h"

#include <algorithm>

#include "kernel/arch_contract.h"
#include "kernel/log.h"
#include "kernel/sched/context.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "kernel/trace.h"
#include "kernel/trial.h"

namespace sched {
namespace {

constexpr u32 kMaxWorkers = 256;
constexpr u64 kSpinNs = 150'000;
// after this time the other CPU is probably not running, so sleep
constexpr u64 kBarrierSpinNs = 200'000;
// The number of polls before the first look at the clock, which costs as much as one or two polls.
// Most steps begin and end within them.
constexpr u32 kQuickLooks = 32;
// A CPU that has not started by then is left out. Starting takes 1 ms, but an emulated CPU may have
// to wait until its host has time.
constexpr u64 kStartNs = 2'000'000'000;
constexpr u32 kMostDead = 3;  // so many CPUs are waited for in vain
// States of Slot::start, in its low two bits; the rest is the number of the attempt.
constexpr u32 kAwaited = 0, kStarted = 1, kGivenUp = 2, kAttempt = 4;

// One cache line per worker: the worker writes it, CPU 0 reads it.
struct alignas(64) Slot {
  std::atomic<u32> finished{0};  // the last generation that it completed
  std::atomic<u32> sleeping{0};
  std::atomic<u32> start{kAwaited};
  u64 sleeps = 0;
};

// The task, in cache lines of its own: CPU 0 writes them at each step, all workers read them.
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

// Decides which thread may use the pool. A thread that finds it taken draws a number and sleeps; a
// thread that leaves calls the next number. Nobody overtakes, so with N threads nobody waits for
// more than N - 1 tasks. Only threads of CPU 0 come here, so the words need not be atomic.
class PoolQueue {
 public:
  void enter() {
    const Thread* self = current();
    if (taken_) {
      ASSERT(user_ != self);  // a task must not start another one
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
    while (called_ != number) queue_.wait();  // threads are woken in the order of their numbers
  }
  // Hands the pool to the next number. It stays marked as taken until that thread runs, so a thread
  // that asks in between joins the queue.
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

// Watches CPU 0 and logs when it is neither idle nor scheduling. Worker 1 runs it while it has no
// work. On a machine with one CPU, a timer interrupt does.
struct BootCpuWatch {
  u64 beat = 0, since_ns = 0;
  bool reported = false;

  static u64 interval_ns() {
    u64 limit = stall_ns.load(std::memory_order_relaxed);
    return std::clamp<u64>(limit / 2, 10'000'000, 1'000'000'000);
  }
  // Called at least every interval_ns(). It compares the heartbeat with the one it saw last, and
  // reports a stall once.
  void check() {
    trial::check();
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

// Polls `word` kQuickLooks times. Returns false if it still has `value`.
bool changes_soon(const std::atomic<u32>& word, u32 value) {
  for (u32 i = 0; i < kQuickLooks; i++) {
    if (word.load(std::memory_order_acquire) != value) return true;
    arch::Cpu::relax();
  }
  return false;
}

// Waits until the generation differs from `seen`: polls, spins, then sleeps. Runs on the worker's
// CPU.
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
    // Pairs with publish(): either this load sees the new generation, or CPU 0 sees that the worker
    // sleeps and wakes it.
    slot.sleeping.store(1, std::memory_order_seq_cst);
    if (step.generation.load(std::memory_order_seq_cst) == seen) {
      slot.sleeps++;
      arch::Cpu::wait_for_interrupt();
    }
    slot.sleeping.store(0, std::memory_order_relaxed);
    arch::Cpu::restore_interrupts(on);
  }
}

// The life of a worker, on its own CPU. It ends only if CPU 0 gave up waiting for its start.
// `argument` is the worker's index and, in its upper half, the word that `start` must hold.
void worker_loop(void* argument) {
  auto index = static_cast<u32>(reinterpret_cast<u64>(argument));
  auto awaited = static_cast<u32>(reinterpret_cast<u64>(argument) >> 32);
  Slot& slot = slots[index];
  BootCpuWatch watch;
  u32 seen = step.generation.load(std::memory_order_acquire);
  // It fails if CPU 0 gave up on this CPU and counts without it. The slot is another's then.
  if (!slot.start.compare_exchange_strong(awaited, awaited | kStarted)) return;
  slot.finished.store(seen, std::memory_order_relaxed);
  for (;;) {
    wait_for_step(slot, seen, index == 1 ? &watch : nullptr);
    // CPU 0 publishes a step only after all have finished the one before, so no generation is
    // skipped.
    seen++;
    // the zone ends before `finished` is set, because CPU 0 does not wait for it
    trace::Zone zone("part of a step");
    step.task(step.context, index);
    slot.finished.store(seen, std::memory_order_seq_cst);
    if (step.sleeper.load(std::memory_order_seq_cst) != 0) arch::Cpu::wake_cpu(0);
  }
}

enum class Start : u8 { kWorks, kNoAnswer, kNever };

// Starts one CPU and waits until its worker answers. The exchange on `start` decides between an
// answer and a timeout that happen at the same time. A CPU that takes the place of one that did not
// answer starts under the next attempt's number, so that the late one finds another word.
Start start_worker(u32 index) {
  Slot& slot = slots[index];
  u32 awaited = (slot.start.load() & ~(kAttempt - 1)) + kAttempt + kAwaited;
  slot.start.store(awaited);
  auto started = arch::Cpu::start_secondary_cpu(
      index, worker_loop, reinterpret_cast<void*>(u64{awaited} << 32 | index));
  if (!started.has_value()) {
    if (started.error().code != Errc::kNotFound)
      log::warn("sched", "cpu {} did not start: {}", index, started.error());
    return Start::kNever;
  }
  u64 deadline = timing::now_ns() + kStartNs;
  while (slot.start.load(std::memory_order_acquire) == awaited && timing::now_ns() < deadline)
    arch::Cpu::wait_while_equal(slot.start, awaited, timing::ticks_at(deadline));
  if (!slot.start.compare_exchange_strong(awaited, awaited | kGivenUp)) return Start::kWorks;
  log::warn("sched", "cpu {} did not answer within {} ms", index, kStartNs / 1'000'000);
  return Start::kNoAnswer;
}

// Hands the task to all workers and wakes those that sleep. The stores to task and context come
// before the store to generation, so a worker that sees the new generation sees them too.
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

// Sleeps CPU 0 at the barrier until the worker it waits for, or a timer, wakes it. As in
// wait_for_step(), the flag is set before the last look, so that the wake cannot be missed.
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

// Returns when the worker has completed the generation. It polls, then spins for kBarrierSpinNs,
// then sleeps, and reports a stall once per step.
void wait_for_worker(u32 worker, u32 generation, bool& reported) {
  Slot& slot = slots[worker];
  if (slot.finished.load(std::memory_order_acquire) == generation) return;
  u32 before = generation - 1;  // every worker had finished the previous step
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
  // Firmware lists CPUs that are not there. Each costs its wait, so not many are waited for.
  for (u32 dead = 0; workers < wanted && dead <= kMostDead;) {
    Start start = start_worker(workers);
    if (start == Start::kNever) break;
    if (start == Start::kWorks)
      workers++;
    else
      dead++;
  }
  log::info("sched", "{} of {} cpus compute", workers, present);
  boot_cpu_watched = workers > 1;
  if (workers > 1) return;
  static constinit BootCpuWatch alone;
  Result<void> watched = arch::Cpu::watch_boot_cpu([] { alone.check(); });
  boot_cpu_watched = watched.has_value();
  if (!watched.has_value()) log::info("watchdog", "cpu 0 is not watched: {}", watched.error());
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
    trace::Zone zone("step");  // starts while the other CPUs wake up
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
