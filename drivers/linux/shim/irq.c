// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupts: Linux irq numbers are our vectors (MSI, MSI-X) or 0x1000 + line for INTx.
// Handlers run with interrupts off, in interrupt context; a threaded half becomes a work item.
#include <linux/interrupt.h>

#include "drivers/linux/shim/shim.h"

enum { kLineBase = kShimLineBase, kMaxActions = 64 };

struct action {
  unsigned int irq;
  int vector;
  irq_handler_t handler, thread;
  void *device;
  struct work_struct work;
  int disabled;
};
static struct action actions[kMaxActions];  // a free row has no handler

static void run_thread(struct work_struct *work) {
  struct action *action = container_of(work, struct action, work);
  action->thread(action->irq, action->device);
}

static void dispatch(void *argument) {
  struct action *action = argument;
  if (!action->handler || action->disabled) return;
  shim_tick();
  __preempt_count += HARDIRQ_OFFSET;
  irqreturn_t result = action->handler(action->irq, action->device);
  __preempt_count -= HARDIRQ_OFFSET;
  if (result == IRQ_WAKE_THREAD && action->thread) queue_work_on(0, system_wq, &action->work);
  shim_wake();
}

static irqreturn_t default_primary(int irq, void *device) { return IRQ_WAKE_THREAD; }

// Vectors are reserved by pci.c with shim_reserve_vector and given their handler here.
static struct action *find(unsigned int irq, void *device) {
  for (int i = 0; i < kMaxActions; i++) {
    if (actions[i].handler && actions[i].irq == irq && actions[i].device == device) return &actions[i];
  }
  return NULL;
}

// Reserved vectors: a row waits for its handler.
struct reserved {
  int vector;
  struct action *action;
};
static struct reserved reserved[kMaxActions];

static void on_vector(void *argument) {
  struct reserved *slot = argument;
  if (slot->action) dispatch(slot->action);
}

int shim_reserve_vector(void) {
  for (int i = 0; i < kMaxActions; i++) {
    if (reserved[i].vector) continue;
    int vector = shim_host_alloc_vector(on_vector, &reserved[i]);
    if (vector > 0) reserved[i].vector = vector;
    return vector;
  }
  return -ENOSPC;
}
void shim_release_vector(int vector) {
  for (int i = 0; i < kMaxActions; i++) {
    if (reserved[i].vector != vector) continue;
    shim_host_free_vector(vector);
    reserved[i] = (struct reserved){};
  }
}
static struct reserved *reserved_of(int vector) {
  for (int i = 0; i < kMaxActions; i++) {
    if (reserved[i].vector == vector) return &reserved[i];
  }
  return NULL;
}

int request_threaded_irq(unsigned int irq, irq_handler_t handler, irq_handler_t thread, unsigned long flags,
                         const char *name, void *device) {
  struct action *action = NULL;
  for (int i = 0; i < kMaxActions && !action; i++) {
    if (!actions[i].handler) action = &actions[i];
  }
  if (!action) return -ENOSPC;
  int vector = irq;
  if (irq >= kLineBase) {
    vector = shim_reserve_vector();
    if (vector < 0) return vector;
  }
  struct reserved *slot = reserved_of(vector);
  if (!slot || slot->action) return -EINVAL;
  *action = (struct action){.irq = irq, .vector = vector, .handler = handler ?: default_primary, .thread = thread,
                            .device = device};
  INIT_WORK(&action->work, run_thread);
  slot->action = action;
  if (irq >= kLineBase) return shim_host_route_line(irq - kLineBase, vector);
  return 0;
}
const void *free_irq(unsigned int irq, void *device) {
  struct action *action = find(irq, device);
  if (!action) return NULL;
  if (irq >= kLineBase) shim_host_mask_line(irq - kLineBase, 1);
  struct reserved *slot = reserved_of(action->vector);
  if (slot) slot->action = NULL;
  cancel_work_sync(&action->work);
  if (irq >= kLineBase) shim_release_vector(action->vector);
  action->handler = NULL;
  return NULL;
}
// One CPU: a handler is not running while a thread does.
void synchronize_irq(unsigned int irq) {}
static void set_disabled(unsigned int irq, int change) {
  for (int i = 0; i < kMaxActions; i++) {
    if (!actions[i].handler || actions[i].irq != irq) continue;
    actions[i].disabled += change;
    if (irq >= kLineBase) shim_host_mask_line(irq - kLineBase, actions[i].disabled > 0);
  }
}
void disable_irq(unsigned int irq) { set_disabled(irq, 1); }
void disable_irq_nosync(unsigned int irq) { set_disabled(irq, 1); }
void enable_irq(unsigned int irq) { set_disabled(irq, -1); }
int __irq_apply_affinity_hint(unsigned int irq, const struct cpumask *mask, bool set) { return 0; }
