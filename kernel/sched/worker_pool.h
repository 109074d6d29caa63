// SPDX-License-Identifier: GPL-2.0-or-later
// One pinned worker a CPU. A parallel step is a generation counter and a spin, never a lock.
#pragma once

#include "kernel/base/result.h"

namespace sched {

// Starts a worker on each of the first `limit` CPUs (0 = all). CPU 0 takes part as worker 0.
void start_workers(u32 limit);
u32 worker_count();
// Is there anybody who notices that CPU 0 is stuck?
bool boot_cpu_is_watched();

// Runs task(context, worker) on every worker at once and returns when all have finished.
// Thread context of CPU 0 only. Worker 0 may give way to other threads within its task; those of
// them that call this sleep, and get the workers in the order in which they asked. A task does not
// run another: that is asserted.
// While it waits for a worker that has been away for longer than set_stall_limit's time, the
// watchdog names the CPU in the log, once a step.
void run_on_workers(void (*task)(void* context, u32 worker), void* context);

void set_stall_limit(u64 ns);  // 0 = no watchdog; 5 s at the start
u64 stall_limit();

struct WorkerCounters {
  u64 steps = 0;    // run_on_workers calls
  u64 sleeps = 0;   // times a worker went to sleep for want of work
  u64 stalls = 0;   // reports of the watchdog
  u64 wait_ns = 0;  // CPU 0's time at the barrier, after its own part
};
WorkerCounters worker_counters();

}  // namespace sched
