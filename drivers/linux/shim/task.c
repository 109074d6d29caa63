// SPDX-License-Identifier: GPL-2.0-or-later
// Tasks: the kernel threads of drivers, `current`, and sleeping in schedule().
//
// A Linux task is a cooperative thread of Marrow. Marrow's own threads that call in (the console,
// the network stack) share one task. `current` is set again after every sleep, so it is right
// between sleeps.
#include <linux/kthread.h>
#include <linux/sched.h>

#include "drivers/linux/shim/shim.h"

static struct task_struct visitor = {.comm = "marrow"};
struct task_struct *current_task = &visitor;

void shim_enter(void) {
  if (!shim_host_in_interrupt()) current_task = &visitor;
  shim_tick();
}
void shim_become(struct task_struct *task) {
  current_task = task;
  shim_tick();
}
void shim_wait(const void *channel, unsigned long deadline_ns) {
  struct task_struct *self = current_task;
  shim_host_wait(channel, deadline_ns);
  current_task = self;
  shim_tick();
}
void shim_wake(const void *channel) { shim_host_wake(channel); }

void schedule(void) { shim_wait(current, ~0UL); }
void yield(void) { shim_wait(NULL, shim_host_ns() + 1); }
int __cond_resched(void) { return 0; }
signed long schedule_timeout(signed long timeout) {
  if (timeout == MAX_SCHEDULE_TIMEOUT) {
    schedule();
    return timeout;
  }
  unsigned long start = jiffies;
  shim_wait(current, shim_host_ns() + jiffies_to_nsecs(timeout));
  return max(0L, timeout - (long)(jiffies - start));
}
// This sleep may only be ended by a wake. Marrow's sleep may end early, so the rest is slept, too.
signed long schedule_timeout_uninterruptible(signed long timeout) {
  while (timeout > 0) timeout = schedule_timeout(timeout);
  return 0;
}
signed long schedule_timeout_interruptible(signed long timeout) { return schedule_timeout_uninterruptible(timeout); }
int wake_up_process(struct task_struct *task) {
  shim_wake(task);
  return 1;
}

// ---- kernel threads ----
struct shim_kthread {
  struct task_struct task;
  int (*function)(void *);
  void *data;
  int result;
  bool stop, ended;
};
static struct shim_kthread *of(struct task_struct *task) { return container_of(task, struct shim_kthread, task); }

static void run(void *argument) {
  struct shim_kthread *thread = argument;
  current_task = &thread->task;
  shim_tick();
  // Created asleep: it begins with the first wake, or when it is asked to end.
  thread->result = thread->function(thread->data);
  thread->ended = true;
  shim_wake(&thread->ended);
  current_task = &visitor;
}
// The thread starts at once, because nobody binds it or looks at it before it is woken.
struct task_struct *kthread_create_on_node(int (*function)(void *), void *data, int node, const char *format, ...) {
  struct shim_kthread *thread = kzalloc(sizeof(*thread), GFP_KERNEL);
  if (!thread) return ERR_PTR(-ENOMEM);
  va_list args;
  va_start(args, format);
  vsnprintf(thread->task.comm, sizeof(thread->task.comm), format, args);
  va_end(args);
  refcount_set(&thread->task.usage, 1);
  thread->function = function;
  thread->data = data;
  if (shim_host_spawn(thread->task.comm, run, thread)) {
    kfree(thread);
    return ERR_PTR(-ENOMEM);
  }
  return &thread->task;
}
bool kthread_should_stop(void) { return current_task != &visitor && of(current_task)->stop; }
int kthread_stop(struct task_struct *task) {
  struct shim_kthread *thread = of(task);
  thread->stop = true;
  wake_up_process(task);
  shim_wait_until(&thread->ended, thread->ended, ~0UL);
  return thread->result;  // the task's memory stays, because late wakes may still name it
}
