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
void shim_tick(void);                  /* brings jiffies up to date */
unsigned long shim_next_timer_ns(void); /* ~0 when none is armed */
void shim_run_timers(void);

/* workqueue.c */
int shim_workqueue_start(void);

/* sync.c: sleeps until something happened anywhere in the shim; every waiter re-checks. */
void shim_wait(unsigned long deadline_ns);
void shim_wake(void); /* any context */

/* Waits for `condition` until `deadline_ns` (~0 for ever); its value tells whether it came true.
 * It is evaluated once a round and not again once it was true: it may take what it asks for. */
#define shim_wait_until(condition, deadline_ns)                          \
  ({                                                                     \
    unsigned long until_ = (deadline_ns);                                \
    bool came_;                                                          \
    while (!(came_ = (condition)) && shim_host_ns() < until_) shim_wait(until_); \
    came_;                                                               \
  })

/* irq.c */
int shim_reserve_vector(void); /* a vector without a handler yet, or a negative errno */
void shim_release_vector(int vector);
enum { kShimLineBase = 0x1000 }; /* irq numbers of INTx lines begin here */

/* pci.c */
int shim_pci_start(void);
/* Unbinds every function on the bus; `present`: they still answer. How many had a driver. */
int shim_pci_remove_bus(unsigned int bus, bool present);

/* net.c: NAPI polls that interrupts asked for. True when one ran. */
bool shim_run_napi(void);

/* print.c */
int shim_vsnprintf(char *out, size_t size, const char *format, va_list args);
