// SPDX-License-Identifier: GPL-2.0-or-later
// Work queues: a pool of cooperative threads of CPU 0 takes work items from every queue.
//
// A queue's limit (max_active; one for an ordered queue) says how many of its works may run at
// once; the same work never runs twice at once. A worker that takes the last idle thread's place
// starts another first, so a work may wait for any other. There are as many threads as works ever
// slept at once, and one more.
#include <linux/async.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "drivers/linux/shim/shim.h"

struct workqueue_struct {
  struct list_head works, every;
  unsigned int active, limit;
  char name[24];
};
struct worker {
  struct list_head every;
  struct workqueue_struct *queue;
  struct work_struct *running;
  struct task_struct task;
};

struct workqueue_struct *system_wq, *system_unbound_wq, *system_highpri_wq, *system_long_wq, *system_freezable_wq,
    *system_power_efficient_wq;
static LIST_HEAD(queues);
static LIST_HEAD(workers);
static unsigned int idle_workers;
static unsigned int coming;  // delayed works of the queues that make USB devices appear

static bool is_running(struct work_struct *work) {
  struct worker *worker;
  list_for_each_entry(worker, &workers, every) {
    if (worker->running == work) return true;
  }
  return false;
}
static struct work_struct *take_from(struct workqueue_struct *queue) {
  struct work_struct *work;
  if (queue->active >= queue->limit) return NULL;
  list_for_each_entry(work, &queue->works, entry) {
    if (is_running(work)) continue;
    list_del_init(&work->entry);
    clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work));
    queue->active++;
    return work;
  }
  return NULL;
}
static bool take_work(struct worker *worker) {
  unsigned long flags;
  local_irq_save(flags);
  list_for_each_entry(worker->queue, &queues, every) {
    worker->running = take_from(worker->queue);
    if (worker->running) break;
  }
  local_irq_restore(flags);
  return worker->running != NULL;
}

static void run_worker(void *argument);
static int start_worker(void) {
  struct worker *worker = kzalloc(sizeof(*worker), GFP_KERNEL);
  if (!worker || shim_host_spawn("linux-work", run_worker, worker)) {
    kfree(worker);
    return -ENOMEM;
  }
  list_add(&worker->every, &workers);
  idle_workers++;
  return 0;
}
static void run_worker(void *argument) {
  struct worker *worker = argument;
  for (;;) {
    shim_become(&worker->task);
    if (!take_work(worker)) {
      shim_wait(&workers, ~0UL);
      continue;
    }
    // Without memory for another thread, the works behind this one wait for it.
    if (--idle_workers == 0 && start_worker()) pr_warn("no memory for one more worker\n");
    worker->running->func(worker->running);  // may free its work: only compared from here on
    worker->running = NULL;
    worker->queue->active--;
    idle_workers++;
    shim_wake(&queues);  // for those who flush
    shim_wake(&workers);  // an ordered queue's next work
  }
}

struct workqueue_struct *alloc_workqueue(const char *format, unsigned int flags, int max_active, ...) {
  va_list args;
  struct workqueue_struct *queue = kzalloc(sizeof(*queue), GFP_KERNEL);
  if (!queue) return NULL;
  INIT_LIST_HEAD(&queue->works);
  queue->limit = flags & __WQ_ORDERED ? 1 : max_active ?: WQ_DFL_ACTIVE;
  list_add_tail(&queue->every, &queues);
  va_start(args, max_active);
  vsnprintf(queue->name, sizeof(queue->name), format, args);
  va_end(args);
  return queue;
}
void destroy_workqueue(struct workqueue_struct *queue) {
  unsigned long flags;
  __flush_workqueue(queue);
  local_irq_save(flags);
  list_del(&queue->every);
  local_irq_restore(flags);
  kfree(queue);
}

int shim_workqueue_start(void) {
  static struct {
    struct workqueue_struct **queue;
    const char *name;
  } const kQueues[] = {{&system_wq, "events"},
                       {&system_highpri_wq, "highpri"},
                       {&system_long_wq, "long"},
                       {&system_unbound_wq, "unbound"},
                       {&system_freezable_wq, "freezable"},
                       {&system_power_efficient_wq, "power"}};
  for (int i = 0; i < ARRAY_SIZE(kQueues); i++) {
    *kQueues[i].queue = alloc_workqueue("%s", 0, 0, kQueues[i].name);
    if (!*kQueues[i].queue) return -ENOMEM;
  }
  return start_worker();
}

static bool is_pending(struct work_struct *work) { return test_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work)); }
static void append(struct workqueue_struct *queue, struct work_struct *work) {
  unsigned long flags;
  local_irq_save(flags);
  list_add_tail(&work->entry, &queue->works);
  local_irq_restore(flags);
  shim_wake(&workers);
}
bool queue_work_on(int cpu, struct workqueue_struct *queue, struct work_struct *work) {
  if (test_and_set_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work))) return false;
  append(queue, work);
  return true;
}

// Delayed works of these two queues are hubs that debounce and sticks that settle.
static bool brings_devices(const struct workqueue_struct *queue) {
  return queue == system_freezable_wq || queue == system_power_efficient_wq;
}
void delayed_work_timer_fn(struct timer_list *timer) {
  struct delayed_work *delayed = from_timer(delayed, timer, timer);
  if (brings_devices(delayed->wq)) coming--;
  append(delayed->wq, &delayed->work);  // PENDING was set when it was armed
}
bool queue_delayed_work_on(int cpu, struct workqueue_struct *queue, struct delayed_work *delayed, unsigned long delay) {
  if (!delay) return queue_work_on(cpu, queue, &delayed->work);
  if (test_and_set_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(&delayed->work))) return false;
  delayed->wq = queue;
  if (brings_devices(queue)) coming++;
  mod_timer(&delayed->timer, jiffies + delay);
  return true;
}
bool mod_delayed_work_on(int cpu, struct workqueue_struct *queue, struct delayed_work *delayed, unsigned long delay) {
  bool was = cancel_delayed_work(delayed);
  queue_delayed_work_on(cpu, queue, delayed, delay);
  return was;
}

// Removes a queued work. Returns false if it was not queued.
static bool unqueue(struct work_struct *work) {
  unsigned long flags;
  local_irq_save(flags);
  bool queued = is_pending(work) && !list_empty(&work->entry);
  if (queued) {
    list_del_init(&work->entry);
    clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work));
  }
  local_irq_restore(flags);
  return queued;
}
static bool disarm(struct delayed_work *delayed) {
  if (!timer_delete(&delayed->timer)) return false;
  if (brings_devices(delayed->wq)) coming--;
  return true;
}
bool cancel_work(struct work_struct *work) { return unqueue(work); }
bool cancel_delayed_work(struct delayed_work *delayed) {
  if (!disarm(delayed)) return unqueue(&delayed->work);
  clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(&delayed->work));
  return true;
}

// A work that flushes itself would wait for ever. Linux warns about that, and drivers do not do it.
bool flush_work(struct work_struct *work) {
  bool busy = is_pending(work) || is_running(work);
  shim_wait_until(&queues, !is_pending(work) && !is_running(work), ~0UL);
  return busy;
}
bool flush_delayed_work(struct delayed_work *delayed) {
  if (disarm(delayed)) append(delayed->wq, &delayed->work);
  return flush_work(&delayed->work);
}
bool cancel_work_sync(struct work_struct *work) {
  bool was = unqueue(work);
  shim_wait_until(&queues, !is_running(work), ~0UL);
  return unqueue(work) || was;  // it may have queued itself again
}
bool cancel_delayed_work_sync(struct delayed_work *delayed) {
  bool was = cancel_delayed_work(delayed);
  shim_wait_until(&queues, !is_running(&delayed->work), ~0UL);
  return cancel_delayed_work(delayed) || was;
}
void __flush_workqueue(struct workqueue_struct *queue) {
  shim_wait_until(&queues, list_empty(&queue->works) && queue->active == 0, ~0UL);
}
bool shim_works_left(void) {
  struct workqueue_struct *queue;
  list_for_each_entry(queue, &queues, every) {
    if (!list_empty(&queue->works) || queue->active > 0) return true;
  }
  return coming > 0;
}
int execute_in_process_context(work_func_t function, struct execute_work *execute) {
  if (!shim_host_in_interrupt()) {
    function(&execute->work);
    return 0;
  }
  INIT_WORK(&execute->work, function);
  queue_work_on(0, system_wq, &execute->work);
  return 1;
}

// async_schedule, with which nvme scans and ahci and sd probe. Each call is one work item on the
// unbound queue.
struct async_work {
  struct work_struct work;
  struct list_head every;
  async_func_t function;
  void *data;
  async_cookie_t cookie;
};
static LIST_HEAD(async_works);
static async_cookie_t next_cookie = 1;

static void run_async(struct work_struct *work) {
  struct async_work *item = container_of(work, struct async_work, work);
  item->function(item->data, item->cookie);
  list_del(&item->every);
  shim_wake(&async_works);
  kfree(item);
}
async_cookie_t async_schedule_node(async_func_t function, void *data, int node) {
  async_cookie_t cookie = next_cookie++;
  struct async_work *item = kmalloc(sizeof(*item), GFP_ATOMIC);
  if (!item) {
    function(data, cookie);
    return cookie;
  }
  INIT_WORK(&item->work, run_async);
  item->function = function;
  item->data = data;
  item->cookie = cookie;
  list_add_tail(&item->every, &async_works);
  queue_work_on(0, system_unbound_wq, &item->work);
  return cookie;
}
// Waits for every call before `cookie`. The list is in their order.
static bool ended_before(async_cookie_t cookie) {
  struct async_work *oldest = list_first_entry_or_null(&async_works, struct async_work, every);
  return !oldest || oldest->cookie >= cookie;
}
void async_synchronize_cookie(async_cookie_t cookie) { shim_wait_until(&async_works, ended_before(cookie), ~0UL); }
