// SPDX-License-Identifier: GPL-2.0-or-later
// The worker pool: one pinned worker per CPU, which compute the engine's parallel operations.
// Starting and ending a parallel step takes a generation counter and a spin, never a lock.
#pragma once

#include "kernel/base/result.h"

namespace sched {

// Starts a worker on each of the first `limit` CPUs (0 = all). CPU 0 takes part as worker 0. Called
// once at boot.
void start_workers(u32 limit);
u32 worker_count();
// Is there anybody who notices that CPU 0 is stuck?
bool boot_cpu_is_watched();

// Runs task(context, worker) on every worker at once and returns when all have finished. Only
// threads of CPU 0 may call it. Worker 0 may yield to other threads within its task; threads that
// call this meanwhile sleep, and get the pool in the order in which they asked. A task must not
// call this again, which is asserted.
// If a worker takes longer than the limit of set_stall_limit(), the watchdog logs the CPU's name,
// once a step.
void run_on_workers(void (*task)(void* context, u32 worker), void* context);

void set_stall_limit(u64 ns);  // 0 = no watchdog; 5 s by default
u64 stall_limit();

struct WorkerCounters {
  u64 steps = 0;    // calls of run_on_workers()
  u64 sleeps = 0;   // times a worker went to sleep because it had no work
  u64 stalls = 0;   // stalls that the watchdog reported
  u64 wait_ns = 0;  // time that CPU 0 waited at the barrier after its own part
};
WorkerCounters worker_counters();

}  // namespace sched
