/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the shim's own files share. Linux's headers come first, then drivers/linux/host.h. */
#pragma once

#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "drivers/linux/host.h"

/* mm.c */
int shim_mm_start(unsigned long arena_bytes);

/* time.c */
void shim_tick(void);                   /* brings jiffies up to date */
unsigned long shim_next_timer_ns(void); /* ~0 when none is armed */
void shim_run_timers(void);

/* params.c */
void shim_set_parameters(const char* words);

/* workqueue.c */
int shim_workqueue_start(void);
bool shim_works_left(void); /* is any work waiting or running, or on its way to bring a device? */

/* softirq.c */
int shim_softirq_start(void);
void shim_softirq(void); /* timers, tasklets or polls have become due; any context */

/* task.c. A sleeper waits on a channel, the address of what it waits for; wakes may come for
 * nothing, so every waiter re-checks. NULL as channel: only the deadline ends the wait. */
void shim_wait(const void* channel, unsigned long deadline_ns);
void shim_wake(const void* channel);        /* any context */
void shim_become(struct task_struct* task); /* the calling thread is this task from here on */
void shim_enter(void); /* a thread of Marrow calls in: `current` and jiffies for it */

/* Waits for `condition` until `deadline_ns` (~0 for ever); its value tells whether it came true.
 * It is evaluated once a round and not again once it was true: it may take what it asks for. */
#define shim_wait_until(channel, condition, deadline_ns)                          \
  ({                                                                              \
    unsigned long until_ = (deadline_ns);                                         \
    bool came_;                                                                   \
    while (!(came_ = (condition)) && (until_ == ~0UL || shim_host_ns() < until_)) \
      shim_wait(channel, until_);                                                 \
    came_;                                                                        \
  })

/* lock_order.c: debug builds check in which order sleeping locks are taken. */
struct shim_lock_class {
  const void* key;
  const char* name;
};
void shim_lock_taking(struct shim_lock_class class); /* before it is waited for */
void shim_lock_taken(
    struct shim_lock_class class); /* a trylock that succeeded: no order to check */
void shim_lock_given(struct shim_lock_class class);

/* irq.c */
int shim_reserve_vector(void); /* a vector without a handler yet, or a negative errno */
void shim_release_vector(int vector);
enum { kShimLineBase = 0x1000 }; /* irq numbers of INTx lines begin here */

/* pci.c */
int shim_pci_start(void);
/* The functions with a driver on buses `first` to `last` (host.h's numbers). Do all of them answer?
 */
bool shim_pci_answers(unsigned int first, unsigned int last);
/* Unbinds them; `present`: they still answer. How many there were. */
int shim_pci_remove(unsigned int first, unsigned int last, bool present);

/* By CPU: where Linux's headers look for the segment of a bus. False without memory. */
bool shim_set_segment(struct pci_bus* bus, unsigned int segment);

/* net.c: NAPI polls that interrupts asked for. True when one ran. */
bool shim_run_napi(void);

/* offload.c */
struct sk_buff;
bool shim_join(struct sk_buff** waiting, const void* frame, unsigned int bytes);
void shim_finish_joined(struct sk_buff* skb);
void shim_fill_checksum(const struct sk_buff* skb, void* frame);

/* print.c */
int shim_vsnprintf(char* out, size_t size, const char* format, va_list args);
