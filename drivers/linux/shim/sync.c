// SPDX-License-Identifier: GPL-2.0-or-later
// Sleeping and locking. Linux code runs on one CPU in cooperative threads, so:
//  - spinlocks are empty except for the interrupt flag (Linux's own UP inlines);
//  - a sleeper waits on a channel (the address of its condition) and tests the condition again; a
//  wake may be
//    spurious (channels share buckets) but is never lost;
//  - RCU readers never sleep and are never preempted: a grace period is over when a writer runs.
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/semaphore.h>
#include <linux/srcu.h>
#include <linux/swait.h>
#include <linux/wait.h>

#include "drivers/linux/shim/shim.h"

int __preempt_count;

// ---- mutexes: `owner` is nonzero while held ----
// Locks that one line of code initializes have one class. `wait_list`, which is not needed
// otherwise, stores its name; a lock that was defined statically is a class of its own.
static struct shim_lock_class lock_class(const void *lock, const struct list_head *where) {
  if (where->next == where) return (struct shim_lock_class){lock, "a static lock"};
  return (struct shim_lock_class){where->next, (const char *)where->prev};
}
static void name_class(struct list_head *where, const char *name, struct lock_class_key *key) {
  INIT_LIST_HEAD(where);
  // devices nest by their tree, so they have no class to check
  if (strstr(name, "device->mutex")) key = NULL;
  where->next = (struct list_head *)key;
  where->prev = (struct list_head *)name;
}
void __mutex_init(struct mutex *lock, const char *name, struct lock_class_key *key) {
  atomic_long_set(&lock->owner, 0);
  name_class(&lock->wait_list, name, key);
}
static bool try_mutex(struct mutex *lock) { return atomic_long_cmpxchg(&lock->owner, 0, 1) == 0; }
int mutex_trylock(struct mutex *lock) {
  if (!try_mutex(lock)) return 0;
  shim_lock_taken(lock_class(lock, &lock->wait_list));
  return 1;
}
bool mutex_is_locked(struct mutex *lock) { return atomic_long_read(&lock->owner) != 0; }
void mutex_lock(struct mutex *lock) {
  shim_lock_taking(lock_class(lock, &lock->wait_list));
  shim_wait_until(lock, try_mutex(lock), ~0UL);
}
int mutex_lock_interruptible(struct mutex *lock) {  // there are no signals
  mutex_lock(lock);
  return 0;
}
int mutex_lock_killable(struct mutex *lock) { return mutex_lock_interruptible(lock); }
void mutex_unlock(struct mutex *lock) {
  shim_lock_given(lock_class(lock, &lock->wait_list));
  atomic_long_set(&lock->owner, 0);
  shim_wake(lock);
}

// ---- reader-writer semaphores: count is the readers, or -1 for a writer ----
void __init_rwsem(struct rw_semaphore *lock, const char *name, struct lock_class_key *key) {
  atomic_long_set(&lock->count, 0);
  name_class(&lock->wait_list, name, key);
}
static bool try_read(struct rw_semaphore *lock) {
  long readers = atomic_long_read(&lock->count);
  if (readers < 0) return false;
  atomic_long_set(&lock->count, readers + 1);
  return true;
}
void down_read(struct rw_semaphore *lock) {
  shim_lock_taking(lock_class(lock, &lock->wait_list));
  shim_wait_until(lock, try_read(lock), ~0UL);
}
void up_read(struct rw_semaphore *lock) {
  shim_lock_given(lock_class(lock, &lock->wait_list));
  atomic_long_dec(&lock->count);
  shim_wake(lock);
}
void down_write(struct rw_semaphore *lock) {
  shim_lock_taking(lock_class(lock, &lock->wait_list));
  shim_wait_until(lock, atomic_long_cmpxchg(&lock->count, 0, -1) == 0, ~0UL);
}
void up_write(struct rw_semaphore *lock) {
  shim_lock_given(lock_class(lock, &lock->wait_list));
  atomic_long_set(&lock->count, 0);
  shim_wake(lock);
}

// ---- counting semaphores ----
int down_trylock(struct semaphore *lock) {  // 0 = taken
  if (lock->count == 0) return 1;
  lock->count--;
  return 0;
}
void down(struct semaphore *lock) { shim_wait_until(lock, down_trylock(lock) == 0, ~0UL); }
int down_interruptible(struct semaphore *lock) {
  down(lock);
  return 0;
}
void up(struct semaphore *lock) {
  lock->count++;
  shim_wake(lock);
}

// ---- wait queues: sleepers wait on their task's channel, and are woken by their entry's function ----
void __init_waitqueue_head(struct wait_queue_head *queue, const char *name, struct lock_class_key *key) {
  spin_lock_init(&queue->lock);
  INIT_LIST_HEAD(&queue->head);
}
void __init_swait_queue_head(struct swait_queue_head *queue, const char *name, struct lock_class_key *key) {
  raw_spin_lock_init(&queue->lock);  // of completions, whose sleepers wait on their channel
  INIT_LIST_HEAD(&queue->task_list);
}
int default_wake_function(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key) {
  return wake_up_process(entry->private);
}
int autoremove_wake_function(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key) {
  list_del_init(&entry->entry);
  return wake_up_process(entry->private);
}
void init_wait_entry(struct wait_queue_entry *entry, int flags) {
  entry->flags = flags;
  entry->private = current;
  entry->func = autoremove_wake_function;
  INIT_LIST_HEAD(&entry->entry);
}
static void enqueue(struct wait_queue_head *queue, struct wait_queue_entry *entry) {
  unsigned long flags;
  local_irq_save(flags);
  if (list_empty(&entry->entry)) list_add_tail(&entry->entry, &queue->head);
  local_irq_restore(flags);
}
void add_wait_queue(struct wait_queue_head *queue, struct wait_queue_entry *entry) {
  INIT_LIST_HEAD(&entry->entry);
  enqueue(queue, entry);
}
void prepare_to_wait(struct wait_queue_head *queue, struct wait_queue_entry *entry, int state) { enqueue(queue, entry); }
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
void remove_wait_queue(struct wait_queue_head *queue, struct wait_queue_entry *entry) { finish_wait(queue, entry); }
// Wakes everyone, exclusive or not. A sleeper that finds nothing to take waits again.
int __wake_up(struct wait_queue_head *queue, unsigned int mode, int count, void *key) {
  struct wait_queue_entry *entry, *next;
  unsigned long flags;
  local_irq_save(flags);
  list_for_each_entry_safe(entry, next, &queue->head, entry) entry->func(entry, mode, 0, key);
  local_irq_restore(flags);
  return 0;
}

// ---- completions ----
void complete(struct completion *done) {
  unsigned long flags;
  local_irq_save(flags);
  if (done->done != UINT_MAX) done->done++;
  local_irq_restore(flags);
  shim_wake(done);
}
void complete_all(struct completion *done) {
  done->done = UINT_MAX;
  shim_wake(done);
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
  unsigned long deadline = timeout >= MAX_SCHEDULE_TIMEOUT ? ~0UL : shim_host_ns() + jiffies_to_nsecs(timeout);
  if (!shim_wait_until(done, take_completion(done), deadline)) return 0;
  unsigned long now = shim_host_ns();
  return now < deadline ? max(1UL, nsecs_to_jiffies(deadline - now)) : 1;
}
unsigned long wait_for_completion_io_timeout(struct completion *done, unsigned long timeout) {
  return wait_for_completion_timeout(done, timeout);
}
long wait_for_completion_interruptible_timeout(struct completion *done, unsigned long timeout) {
  return wait_for_completion_timeout(done, timeout);
}
long wait_for_completion_killable_timeout(struct completion *done, unsigned long timeout) {
  return wait_for_completion_timeout(done, timeout);
}
void wait_for_completion(struct completion *done) { shim_wait_until(done, take_completion(done), ~0UL); }
int wait_for_completion_interruptible(struct completion *done) {
  wait_for_completion(done);
  return 0;
}
int wait_for_completion_killable(struct completion *done) { return wait_for_completion_interruptible(done); }

// ---- RCU and SRCU ----
// kfree_rcu passes the offset of the head in its object instead of a function.
void call_rcu(struct rcu_head *head, rcu_callback_t callback) {
  unsigned long offset = (unsigned long)callback;
  if (__is_kvfree_rcu_offset(offset)) return kvfree((void *)head - offset);
  callback(head);
}
void synchronize_rcu(void) {}
void synchronize_net(void) {}
void rcu_barrier(void) {}  // callbacks run at once
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
