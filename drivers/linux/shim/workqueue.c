// SPDX-License-Identifier: GPL-2.0-or-later
// Work queues and softirqs as cooperative threads of CPU 0.
//
// Each queue has one thread, so works of one queue run one at a time and in order, while works of
// different queues may wait for each other (nvme's reset waits for its scan). One more thread runs
// what Linux runs in softirqs: timers and NAPI polls, in that order, after every event.
#include <linux/async.h>
#include <linux/workqueue.h>

#include "drivers/linux/shim/shim.h"

struct workqueue_struct {
  struct list_head works, every;
  struct work_struct *running;
  char name[24];
};

struct workqueue_struct *system_wq, *system_unbound_wq;
static LIST_HEAD(queues);

static struct work_struct *take_work(struct workqueue_struct *queue) {
  unsigned long flags;
  local_irq_save(flags);
  struct work_struct *work = list_first_entry_or_null(&queue->works, struct work_struct, entry);
  if (work) {
    list_del_init(&work->entry);
    clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work));
    queue->running = work;
  }
  local_irq_restore(flags);
  return work;
}

static void run_queue(void *argument) {
  struct workqueue_struct *queue = argument;
  for (;;) {
    struct work_struct *work = take_work(queue);
    if (!work) {
      shim_wait(~0UL);
      continue;
    }
    work->func(work);  // may free itself: `work` is only compared from here on
    queue->running = NULL;
    shim_wake();
  }
}

static void run_softirqs(void *argument) {
  for (;;) {
    shim_run_timers();
    if (shim_run_napi()) continue;
    shim_wait(shim_next_timer_ns());
  }
}

struct workqueue_struct *alloc_workqueue(const char *format, unsigned int flags, int max_active, ...) {
  va_list args;
  struct workqueue_struct *queue = kzalloc(sizeof(*queue), GFP_KERNEL);
  if (!queue) return NULL;
  INIT_LIST_HEAD(&queue->works);
  list_add_tail(&queue->every, &queues);
  va_start(args, max_active);
  vsnprintf(queue->name, sizeof(queue->name), format, args);
  va_end(args);
  if (shim_host_spawn(queue->name, run_queue, queue)) {
    list_del(&queue->every);
    kfree(queue);
    return NULL;
  }
  return queue;
}
// The thread stays, asleep: drivers destroy a queue only when they leave, and we never unload one.
void destroy_workqueue(struct workqueue_struct *queue) { __flush_workqueue(queue); }

int shim_workqueue_start(void) {
  system_wq = alloc_workqueue("linux-events", 0, 0);
  system_unbound_wq = alloc_workqueue("linux-unbound", 0, 0);
  if (!system_wq || !system_unbound_wq) return -ENOMEM;
  return shim_host_spawn("linux-softirq", run_softirqs, NULL);
}

bool queue_work_on(int cpu, struct workqueue_struct *queue, struct work_struct *work) {
  unsigned long flags;
  local_irq_save(flags);
  bool fresh = !test_and_set_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work));
  if (fresh) list_add_tail(&work->entry, &queue->works);
  local_irq_restore(flags);
  if (fresh) shim_wake();
  return fresh;
}

void delayed_work_timer_fn(struct timer_list *timer) {
  struct delayed_work *delayed = from_timer(delayed, timer, timer);
  unsigned long flags;
  local_irq_save(flags);
  list_add_tail(&delayed->work.entry, &delayed->wq->works);  // PENDING was set when it was armed
  local_irq_restore(flags);
  shim_wake();
}
bool queue_delayed_work_on(int cpu, struct workqueue_struct *queue, struct delayed_work *delayed, unsigned long delay) {
  if (!delay) return queue_work_on(cpu, queue, &delayed->work);
  if (test_and_set_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(&delayed->work))) return false;
  delayed->wq = queue;
  mod_timer(&delayed->timer, jiffies + delay);
  return true;
}
bool mod_delayed_work_on(int cpu, struct workqueue_struct *queue, struct delayed_work *delayed, unsigned long delay) {
  bool was = cancel_delayed_work(delayed);
  queue_delayed_work_on(cpu, queue, delayed, delay);
  return was;
}

// Takes a queued work back. False when it was not queued.
static bool unqueue(struct work_struct *work) {
  unsigned long flags;
  local_irq_save(flags);
  bool queued = test_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work)) && !list_empty(&work->entry);
  if (queued) {
    list_del_init(&work->entry);
    clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work));
  }
  local_irq_restore(flags);
  return queued;
}
bool cancel_delayed_work(struct delayed_work *delayed) {
  if (timer_delete(&delayed->timer)) {
    clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(&delayed->work));
    return true;
  }
  return unqueue(&delayed->work);
}

static bool is_running(struct work_struct *work) {
  struct workqueue_struct *queue;
  list_for_each_entry(queue, &queues, every) {
    if (queue->running == work) return true;
  }
  return false;
}
static bool is_pending(struct work_struct *work) { return test_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work)); }

// A work that flushes itself would wait for ever; Linux warns, drivers do not do it.
bool flush_work(struct work_struct *work) {
  bool busy = is_pending(work) || is_running(work);
  while (is_pending(work) || is_running(work)) shim_wait(~0UL);
  return busy;
}
bool cancel_work_sync(struct work_struct *work) {
  bool was = unqueue(work);
  while (is_running(work)) shim_wait(~0UL);
  return was;
}
bool cancel_delayed_work_sync(struct delayed_work *delayed) {
  bool was = cancel_delayed_work(delayed);
  while (is_running(&delayed->work)) shim_wait(~0UL);
  return was;
}
void __flush_workqueue(struct workqueue_struct *queue) {
  while (!list_empty(&queue->works) || queue->running) shim_wait(~0UL);
}

// async_schedule: nvme scans and probes so. One work item a call on the unbound queue.
struct async_work {
  struct work_struct work;
  async_func_t function;
  void *data;
};
static void run_async(struct work_struct *work) {
  struct async_work *item = container_of(work, struct async_work, work);
  item->function(item->data, 0);
  kfree(item);
}
async_cookie_t async_schedule_node(async_func_t function, void *data, int node) {
  struct async_work *item = kmalloc(sizeof(*item), GFP_ATOMIC);
  if (!item) {
    function(data, 0);
    return 0;
  }
  INIT_WORK(&item->work, run_async);
  item->function = function;
  item->data = data;
  queue_work_on(0, system_unbound_wq, &item->work);
  return 0;
}
