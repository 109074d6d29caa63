// SPDX-License-Identifier: GPL-2.0-or-later
// Cooperative threads of the boot CPU. They give way only in yield, sleep and wait, so data of
// threads needs no lock; interrupt handlers only record and wake. Other CPUs run workers
// (worker_pool.h), not threads.
#pragma once

#include <string_view>

#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace sched {

class Thread;

// Turns the calling flow into thread "main".
void init();

// Starts a thread with its own guarded stack. It ends when `entry` returns.
Result<Thread*> spawn(std::string_view name, void (*entry)(void*), void* argument,
                      usize stack_bytes = 64 * 1024);

// Lets every other runnable thread go once; cheap (no switch) when there is none.
void yield();
void sleep_ns(u64 ns);
Thread* current();
std::string_view name(const Thread* thread);

// Threads that wait for something. wake_* may be called from interrupt context.
class WaitQueue {
 public:
  // Sleeps until woken or `deadline_ns` (~0 = never times out). False on timeout.
  // Callers re-check their condition in a loop.
  bool wait(u64 deadline_ns = ~u64{0});
  void wake_one();
  void wake_all();

 private:
  friend class Scheduler;
  Thread* first_ = nullptr;
};

// A row a thread for the `threads` command.
void list(base::Writer& out);

}  // namespace sched
