// SPDX-License-Identifier: GPL-2.0-or-later
// Cooperative threads of CPU 0. They switch only in yield(), sleep() and wait(), so data that only
// threads use needs no lock. Interrupt handlers only record and wake. Other CPUs run workers
// (worker_pool.h), not threads. A thread with interrupts off must not sleep or wait, because the
// handler that would wake it could not run; context.h checks this.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace sched {

class Thread;

// Makes the calling flow of control the thread "main".
void init();

// Returns a counter that rises with each scheduling decision on CPU 0. The watchdog reads it to see
// that CPU 0 is alive.
u64 heartbeat();
bool idle();  // CPU 0 sleeps because no thread is runnable

// Starts a thread with its own stack, below which lies a guard page. It ends when `entry` returns.
Result<Thread*> spawn(std::string_view name, void (*entry)(void*), void* argument,
                      usize stack_bytes = 64 * 1024);

// Lets every other runnable thread run once. Without one it costs no switch.
void yield();
bool others_runnable();  // whether yield() would switch
void sleep_ns(u64 ns);
Thread* current();
// Returns false in an interrupt handler that came while no thread ran.
bool in_thread();
std::string_view name(const Thread* thread);

// A queue of threads that wait for something. wake_* may be called from interrupt handlers; wait()
// is for threads.
class WaitQueue {
 public:
  constexpr WaitQueue() = default;
  // Sleeps until woken or until `deadline_ns` (~0 = no deadline). Returns false on a timeout.
  // Callers test their condition in a loop around it, because a wake since the last wait makes the
  // next one return at once.
  bool wait(u64 deadline_ns = ~u64{0});
  void wake_one();
  void wake_all();

 private:
  friend class Scheduler;
  Thread* first_ = nullptr;
  Thread* last_ = nullptr;
  bool pending_ = false;
};

// Visits every thread's stack but that of "main". The first page of each is the guard.
void for_each_stack(void (*visit)(void* context, std::span<const Byte> stack), void* context);

// Prints one row per thread for the `threads` command.
void list(base::Writer& out);

}  // namespace sched
