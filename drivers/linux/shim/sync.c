// SPDX-License-Identifier: GPL-2.0-or-later
// Sleeping and locking. Linux code runs on one CPU in cooperative threads, so:
//  - spinlocks are empty but for the interrupt flag (Linux's own UP inlines);
//  - a sleeper waits for the one event "something happened" and re-checks its condition; waking is
//    signalling that event. Few threads sleep in drivers, so this costs nothing and cannot lose a wake;
//  - RCU readers never sleep and are never preempted: a grace period is over when a writer runs.
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/swait.h>
#include <linux/wait.h>

#include "drivers/linux/shim/shim.h"

static struct task_struct the_task = {.comm = "linux"};
struct task_struct *current_task = &the_task;
int __preempt_count;

void shim_wait(unsigned long deadline_ns) {
  shim_host_wait_event(deadline_ns);
  shim_tick();
}
void shim_wake(void) { shim_host_signal_event(); }

// ---- scheduling ----
void schedule(void) { shim_wait(~0UL); }
int __cond_resched(void) { return 0; }
signed long schedule_timeout(signed long timeout) {
  unsigned long start = jiffies;
  shim_wait(timeout == MAX_SCHEDULE_TIMEOUT ? ~0UL : shim_host_ns() + jiffies_to_nsecs(timeout));
  if (timeout == MAX_SCHEDULE_TIMEOUT) return timeout;
  return max(0L, timeout - (long)(jiffies - start));
}
int wake_up_process(struct task_struct *task) {
  shim_wake();
  return 1;
}

// ---- mutexes: `owner` is nonzero while held ----
void __mutex_init(struct mutex *lock, const char *name, struct lock_class_key *key) {
  atomic_long_set(&lock->owner, 0);
  INIT_LIST_HEAD(&lock->wait_list);
}
int mutex_trylock(struct mutex *lock) { return atomic_long_cmpxchg(&lock->owner, 0, 1) == 0; }
bool mutex_is_locked(struct mutex *lock) { return atomic_long_read(&lock->owner) != 0; }
void mutex_lock(struct mutex *lock) { shim_wait_until(mutex_trylock(lock), ~0UL - 1); }
void mutex_unlock(struct mutex *lock) {
  atomic_long_set(&lock->owner, 0);
  shim_wake();
}

// ---- reader-writer semaphores: count is the readers, or -1 for a writer ----
void __init_rwsem(struct rw_semaphore *lock, const char *name, struct lock_class_key *key) {
  atomic_long_set(&lock->count, 0);
  INIT_LIST_HEAD(&lock->wait_list);
}
static bool try_read(struct rw_semaphore *lock) {
  long readers = atomic_long_read(&lock->count);
  if (readers < 0) return false;
  atomic_long_set(&lock->count, readers + 1);
  return true;
}
void down_read(struct rw_semaphore *lock) { shim_wait_until(try_read(lock), ~0UL - 1); }
void up_read(struct rw_semaphore *lock) {
  atomic_long_dec(&lock->count);
  shim_wake();
}
void down_write(struct rw_semaphore *lock) {
  shim_wait_until(atomic_long_cmpxchg(&lock->count, 0, -1) == 0, ~0UL - 1);
}
void up_write(struct rw_semaphore *lock) {
  atomic_long_set(&lock->count, 0);
  shim_wake();
}

// ---- wait queues: only their being non-empty matters, to those who look ----
void __init_waitqueue_head(struct wait_queue_head *queue, const char *name, struct lock_class_key *key) {
  spin_lock_init(&queue->lock);
  INIT_LIST_HEAD(&queue->head);
}
void __init_swait_queue_head(struct swait_queue_head *queue, const char *name, struct lock_class_key *key) {
  raw_spin_lock_init(&queue->lock);
  INIT_LIST_HEAD(&queue->task_list);
}
void init_wait_entry(struct wait_queue_entry *entry, int flags) {
  entry->flags = flags;
  entry->private = current;
  entry->func = NULL;
  INIT_LIST_HEAD(&entry->entry);
}
static void enqueue(struct wait_queue_head *queue, struct wait_queue_entry *entry) {
  unsigned long flags;
  local_irq_save(flags);
  if (list_empty(&entry->entry)) list_add_tail(&entry->entry, &queue->head);
  local_irq_restore(flags);
}
void add_wait_queue(struct wait_queue_head *queue, struct wait_queue_entry *entry) { enqueue(queue, entry); }
long prepare_to_wait_event(struct wait_queue_head *queue, struct wait_queue_entry *entry, int state) {
  enqueue(queue, entry);
  return 0;  // no signals: a wait is never interrupted
}
bool prepare_to_wait_exclusive(struct wait_queue_head *queue, struct wait_queue_entry *entry, int state) {
  enqueue(queue, entry);
  return true;
}
void finish_wait(struct wait_queue_head *queue, struct wait_queue_entry *entry) {
  unsigned long flags;
  local_irq_save(flags);
  list_del_init(&entry->entry);
  local_irq_restore(flags);
}
// Entries with a function of their own (poll-style callbacks) are called; sleepers re-check.
int __wake_up(struct wait_queue_head *queue, unsigned int mode, int count, void *key) {
  struct wait_queue_entry *entry, *next;
  unsigned long flags;
  local_irq_save(flags);
  list_for_each_entry_safe(entry, next, &queue->head, entry) {
    if (entry->func) entry->func(entry, mode, 0, key);
  }
  local_irq_restore(flags);
  shim_wake();
  return 0;
}

// ---- completions ----
void complete(struct completion *done) {
  unsigned long flags;
  local_irq_save(flags);
  if (done->done != UINT_MAX) done->done++;
  local_irq_restore(flags);
  shim_wake();
}
void complete_all(struct completion *done) {
  done->done = UINT_MAX;
  shim_wake();
}
static bool take_completion(struct completion *done) {
  unsigned long flags;
  local_irq_save(flags);
  bool taken = done->done != 0;
  if (taken && done->done != UINT_MAX) done->done--;
  local_irq_restore(flags);
  return taken;
}
// Jiffies left (at least 1), or 0 on timeout.
unsigned long wait_for_completion_timeout(struct completion *done, unsigned long timeout) {
  unsigned long deadline = shim_host_ns() + jiffies_to_nsecs(timeout);
  while (!take_completion(done)) {
    if (shim_host_ns() >= deadline) return 0;
    shim_wait(deadline);
  }
  unsigned long now = shim_host_ns();
  return now < deadline ? max(1UL, nsecs_to_jiffies(deadline - now)) : 1;
}
unsigned long wait_for_completion_io_timeout(struct completion *done, unsigned long timeout) {
  return wait_for_completion_timeout(done, timeout);
}
void wait_for_completion(struct completion *done) {
  while (!take_completion(done)) shim_wait(~0UL);
}

// ---- RCU and SRCU ----
void call_rcu(struct rcu_head *head, rcu_callback_t callback) { callback(head); }
void synchronize_rcu(void) {}
void synchronize_net(void) {}
int init_srcu_struct(struct srcu_struct *srcu) { return 0; }
void cleanup_srcu_struct(struct srcu_struct *srcu) {}
void synchronize_srcu(struct srcu_struct *srcu) {}

// Softirq work runs in its own thread (workqueue.c), never inside local_bh_enable.
void __local_bh_enable_ip(unsigned long ip, unsigned int count) { __preempt_count -= count; }

bool __do_once_start(bool *done, unsigned long *flags) {
  if (*done) return false;
  *flags = 0;
  return true;
}
void __do_once_done(bool *done, struct static_key_true *key, unsigned long *flags, struct module *module) {
  *done = true;
}
