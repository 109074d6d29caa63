// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupts: Linux irq numbers are Marrow's vectors (MSI, MSI-X), or 0x1000 + line for INTx.
// Handlers run with interrupts off, in interrupt context; a threaded half becomes a work item.
#include <linux/interrupt.h>

#include "drivers/linux/shim/shim.h"

enum { kLineBase = kShimLineBase, kMaxActions = 64, kMaxLines = 16 };

struct action {
  unsigned int irq;
  irq_handler_t handler, thread;
  void *device;
  struct work_struct work;
  int disabled;
  bool holds_line;  // its line is masked until the threaded half has run
};
static struct action actions[kMaxActions];  // a free row has no handler

// A line's vector. Functions share the line, so every action on it is called.
struct line {
  unsigned int irq;  // 0 = a free row
  int vector;
  int masked;  // by disable_irq, or until a threaded half has quieted the device
};
static struct line lines[kMaxLines];

static struct line *line_of(unsigned int irq) {
  for (int i = 0; i < kMaxLines; i++) {
    if (irq && lines[i].irq == irq) return &lines[i];
  }
  return NULL;
}
static void mask_line(struct line *line) {
  if (line->masked++ == 0) shim_host_mask_line(line->irq - kLineBase);
}
static void unmask_line(struct line *line) {
  if (line->masked > 0 && --line->masked == 0) shim_host_route_line(line->irq - kLineBase, line->vector);
}

static void run_thread(struct work_struct *work) {
  struct action *action = container_of(work, struct action, work);
  action->thread(action->irq, action->device);
  struct line *line = line_of(action->irq);
  if (line && action->holds_line) unmask_line(line);
  action->holds_line = false;
}

static void dispatch(struct action *action) {
  if (!action->handler || action->disabled) return;
  irqreturn_t result = action->handler(action->irq, action->device);
  if (result != IRQ_WAKE_THREAD || !action->thread) return;
  struct line *line = line_of(action->irq);
  if (line && !action->holds_line) {
    action->holds_line = true;
    mask_line(line);
  }
  queue_work_on(0, system_wq, &action->work);
}
static void enter(void) {
  shim_tick();
  __preempt_count += HARDIRQ_OFFSET;
}
static void leave(void) {
  __preempt_count -= HARDIRQ_OFFSET;
}
static void on_line(void *argument) {
  struct line *line = argument;
  enter();
  for (int i = 0; i < kMaxActions; i++) {
    if (actions[i].irq == line->irq) dispatch(&actions[i]);
  }
  leave();
}

static irqreturn_t default_primary(int irq, void *device) { return IRQ_WAKE_THREAD; }

// pci.c reserves vectors with shim_reserve_vector; they get their handler here.
static struct action *find(unsigned int irq, void *device) {
  for (int i = 0; i < kMaxActions; i++) {
    if (actions[i].handler && actions[i].irq == irq && actions[i].device == device) return &actions[i];
  }
  return NULL;
}

// Reserved vectors: rows that wait for their handler.
struct reserved {
  int vector;
  struct action *action;
};
static struct reserved reserved[kMaxActions];

static void on_vector(void *argument) {
  struct reserved *slot = argument;
  if (!slot->action) return;
  enter();
  dispatch(slot->action);
  leave();
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

// Routes a line and returns its row, or NULL if vectors or rows ran out.
static struct line *open_line(unsigned int irq) {
  struct line *line = line_of(irq);
  for (int i = 0; !line && i < kMaxLines; i++) {
    if (lines[i].irq) continue;
    int vector = shim_host_alloc_vector(on_line, &lines[i]);
    if (vector < 0) return NULL;
    lines[i] = (struct line){.irq = irq, .vector = vector};
    if (shim_host_route_line(irq - kLineBase, vector) == 0) return &lines[i];
    shim_host_free_vector(vector);
    lines[i] = (struct line){};
    return NULL;
  }
  return line;
}
static void close_line(unsigned int irq) {
  struct line *line = line_of(irq);
  for (int i = 0; i < kMaxActions; i++) {
    if (actions[i].handler && actions[i].irq == irq) return;  // another function uses it
  }
  if (!line) return;
  shim_host_mask_line(irq - kLineBase);
  shim_host_free_vector(line->vector);
  *line = (struct line){};
}

int request_threaded_irq(unsigned int irq, irq_handler_t handler, irq_handler_t thread, unsigned long flags,
                         const char *name, void *device) {
  struct action *action = NULL;
  for (int i = 0; i < kMaxActions && !action; i++) {
    if (!actions[i].handler) action = &actions[i];
  }
  if (!action) return -ENOSPC;
  struct reserved *slot = irq < kLineBase ? reserved_of(irq) : NULL;
  if (irq < kLineBase && (!slot || slot->action)) return -EINVAL;
  *action = (struct action){.irq = irq, .handler = handler ?: default_primary, .thread = thread, .device = device};
  INIT_WORK(&action->work, run_thread);
  if (slot) {
    slot->action = action;
  } else if (!open_line(irq)) {
    *action = (struct action){};
    return -ENOSPC;
  }
  return 0;
}
const void *free_irq(unsigned int irq, void *device) {
  struct action *action = find(irq, device);
  if (!action) return NULL;
  struct reserved *slot = irq < kLineBase ? reserved_of(irq) : NULL;
  if (slot) slot->action = NULL;
  action->handler = NULL;
  cancel_work_sync(&action->work);
  struct line *line = line_of(irq);
  if (line && action->holds_line) unmask_line(line);
  *action = (struct action){};
  if (irq >= kLineBase) close_line(irq);
  return NULL;
}
// There is one CPU, so no handler runs while a thread does.
void synchronize_irq(unsigned int irq) {}
static void set_disabled(unsigned int irq, int change) {
  for (int i = 0; i < kMaxActions; i++) {
    if (!actions[i].handler || actions[i].irq != irq) continue;
    actions[i].disabled += change;
    struct line *line = line_of(irq);
    if (line) change > 0 ? mask_line(line) : unmask_line(line);
  }
}
void disable_irq(unsigned int irq) { set_disabled(irq, 1); }
void disable_irq_nosync(unsigned int irq) { set_disabled(irq, 1); }
void enable_irq(unsigned int irq) { set_disabled(irq, -1); }
int __irq_apply_affinity_hint(unsigned int irq, const struct cpumask *mask, bool set) { return 0; }
