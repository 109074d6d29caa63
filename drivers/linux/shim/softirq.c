// SPDX-License-Identifier: GPL-2.0-or-later
// Runs what Linux runs in softirqs: timers, tasklets and NAPI polls, in that order, in one thread.
#include <linux/interrupt.h>

#include "drivers/linux/shim/shim.h"

static struct tasklet_struct *first, **last = &first;

void shim_softirq(void) { shim_wake(&first); }

void tasklet_setup(struct tasklet_struct *tasklet, void (*callback)(struct tasklet_struct *)) {
  *tasklet = (struct tasklet_struct){.callback = callback, .use_callback = true};
}
void __tasklet_schedule(struct tasklet_struct *tasklet) {  // SCHED is already set
  unsigned long flags;
  local_irq_save(flags);
  tasklet->next = NULL;
  *last = tasklet;
  last = &tasklet->next;
  local_irq_restore(flags);
  shim_softirq();
}
void __tasklet_hi_schedule(struct tasklet_struct *tasklet) { __tasklet_schedule(tasklet); }

static bool run_tasklet(void) {
  unsigned long flags;
  local_irq_save(flags);
  struct tasklet_struct *tasklet = first;
  if (tasklet) first = tasklet->next;
  if (!first) last = &first;
  local_irq_restore(flags);
  if (!tasklet) return false;
  clear_bit(TASKLET_STATE_SCHED, &tasklet->state);
  if (tasklet->use_callback) {
    tasklet->callback(tasklet);
  } else {
    tasklet->func(tasklet->data);
  }
  return true;
}
static void run_softirqs(void *argument) {
  for (;;) {
    shim_enter();
    shim_run_timers();
    if (run_tasklet() || shim_run_napi()) continue;
    shim_wait(&first, shim_next_timer_ns());
  }
}
int shim_softirq_start(void) { return shim_host_spawn("linux-softirq", run_softirqs, NULL); }
