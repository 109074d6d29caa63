// SPDX-License-Identifier: GPL-2.0-or-later
// One pinned worker a CPU. A parallel step is a generation counter and a spin, never a lock.
#pragma once

#include "kernel/base/result.h"

namespace sched {

// Starts a worker on each of the first `limit` CPUs (0 = all). CPU 0 takes part as worker 0.
void start_workers(u32 limit);
u32 worker_count();

// Runs task(context, worker) on every worker at once and returns when all have finished.
// Thread context of CPU 0 only; not reentrant.
void run_on_workers(void (*task)(void* context, u32 worker), void* context);

}  // namespace sched
