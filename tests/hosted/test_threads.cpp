// SPDX-License-Identifier: GPL-2.0-or-later
// Threads in tests.
#include "tests/hosted/test_threads.h"

#include "kernel/arch_contract.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace test_threads {

void start() {
  static bool started = false;
  if (started) return;
  started = true;
  timing::init(arch::Cpu::now_ticks());
  sched::init();
}

}  // namespace test_threads
