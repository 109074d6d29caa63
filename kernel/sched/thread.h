// SPDX-License-Identifier: GPL-2.0-or-later
// Cooperative threads of the boot CPU. They give way only in yield, sleep and wait, so data of
// threads needs no lock; interrupt handlers only record and wake. Other CPUs run workers
// (worker_pool.h), not threads. A thread with interrupts off must not sleep or wait: checked
// (context.h), as the handler that would wake it could not run.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace sched {

class Thread;

// Turns the calling flow into thread "main".
void init();

// Called once a scheduling decision on CPU 0; the watchdog tells by it that CPU 0 is alive.
u64 heartbeat();
bool idle();  // CPU 0 sleeps because nothing is runnable

// Starts a thread with its own guarded stack. It ends when `entry` returns.
Result<Thread*> spawn(std::string_view name, void (*entry)(void*), void* argument,
                      usize stack_bytes = 64 * 1024);

// Lets every other runnable thread go once; cheap (no switch) when there is none.
void yield();
bool others_runnable();  // would yield() switch?
void sleep_ns(u64 ns);
Thread* current();
// False in a handler that came while no thread ran.
bool in_thread();
std::string_view name(const Thread* thread);

// Threads that wait for something. wake_* may be called from interrupt context.
class WaitQueue {
 public:
  constexpr WaitQueue() = default;
  // Sleeps until woken or `deadline_ns` (~0 = never times out). False on timeout.
  // Callers check their condition in a loop around it: a wake that came since the last wait makes
  // the next one return at once.
  bool wait(u64 deadline_ns = ~u64{0});
  void wake_one();
  void wake_all();

 private:
  friend class Scheduler;
  Thread* first_ = nullptr;
  Thread* last_ = nullptr;
  bool pending_ = false;
};

// Every thread's stack but that of "main"; its first page is the guard.
void for_each_stack(void (*visit)(void* context, std::span<const Byte> stack), void* context);

// A row a thread for the `threads` command.
void list(base::Writer& out);

}  // namespace sched
