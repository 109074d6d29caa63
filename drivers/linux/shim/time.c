// SPDX-License-Identifier: GPL-2.0-or-later
// Time and timers. There is no tick: jiffies is computed from the monotonic clock whenever Linux
// code enters, waits or takes an interrupt; timers are run by the softirq thread (workqueue.c).
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/timekeeping.h>
#include <linux/timer.h>

#include "drivers/linux/shim/shim.h"

// Starts five minutes before the 32-bit wrap, as Linux does, so that wrap bugs show on the first day.
unsigned long volatile jiffies = INITIAL_JIFFIES;

static struct hlist_head timers = HLIST_HEAD_INIT;

void shim_tick(void) { jiffies = INITIAL_JIFFIES + shim_host_ns() / (NSEC_PER_SEC / HZ); }

static unsigned long ns_of(unsigned long at) {
  long ahead = (long)(at - jiffies);
  return ahead <= 0 ? 0 : shim_host_ns() + (unsigned long)ahead * (NSEC_PER_SEC / HZ);
}

// ---- timers: an unsorted list, short enough (a few a driver) to be walked ----
void init_timer_key(struct timer_list *timer, void (*function)(struct timer_list *), unsigned int flags,
                    const char *name, struct lock_class_key *key) {
  timer->entry.pprev = NULL;
  timer->entry.next = NULL;
  timer->function = function;
  timer->flags = flags;
}
static bool disarm(struct timer_list *timer) {
  unsigned long flags;
  local_irq_save(flags);
  bool armed = timer->entry.pprev != NULL;
  if (armed) {
    __hlist_del(&timer->entry);
    timer->entry.pprev = NULL;
  }
  local_irq_restore(flags);
  return armed;
}
int mod_timer(struct timer_list *timer, unsigned long expires) {
  unsigned long flags;
  local_irq_save(flags);
  bool was = disarm(timer);
  timer->expires = expires;
  hlist_add_head(&timer->entry, &timers);
  local_irq_restore(flags);
  shim_softirq();  // its thread may have to wake sooner
  return was;
}
void add_timer(struct timer_list *timer) { mod_timer(timer, timer->expires); }
// Timers run in a thread on this CPU, so a timer that is not armed is not running either, unless
// the caller is that timer itself.
int timer_delete(struct timer_list *timer) { return disarm(timer); }
int timer_delete_sync(struct timer_list *timer) { return disarm(timer); }

unsigned long shim_next_timer_ns(void) {
  struct timer_list *timer;
  unsigned long next = ~0UL;
  hlist_for_each_entry(timer, &timers, entry) next = min(next, ns_of(timer->expires));
  return next;
}

// Returns the timer that expires first, so that timers run in the order of their times, however
// late this runs.
static struct timer_list *first_due(void) {
  struct timer_list *timer, *first = NULL;
  hlist_for_each_entry(timer, &timers, entry) {
    if (time_after_eq(jiffies, timer->expires) && (!first || time_before(timer->expires, first->expires))) first = timer;
  }
  return first;
}
void shim_run_timers(void) {
  struct timer_list *timer;
  unsigned long flags;
  shim_tick();
  for (;;) {
    local_irq_save(flags);
    timer = first_due();
    if (timer) disarm(timer);
    local_irq_restore(flags);
    if (!timer) return;
    timer->function(timer);  // may arm and disarm any timer
  }
}

// ---- delays ----
void __udelay(unsigned long us) {
  shim_host_delay_ns(us * 1000);
  shim_tick();
}
void __const_udelay(unsigned long scaled) {  // scaled by 2^32 / 10^6
  __udelay((scaled * 1000000 >> 32) + 1);
}
void native_io_delay(void) { __udelay(2); }
static void sleep_until(unsigned long deadline) {
  while (shim_host_ns() < deadline) shim_wait(NULL, deadline);
}
void msleep(unsigned int ms) {
  if (shim_host_in_interrupt()) return __udelay(ms * 1000UL);
  sleep_until(shim_host_ns() + ms * NSEC_PER_MSEC);
}
unsigned long msleep_interruptible(unsigned int ms) {
  msleep(ms);
  return 0;
}
void usleep_range_state(unsigned long least, unsigned long most, unsigned int state) {
  if (least < 100 || shim_host_in_interrupt()) return __udelay(least);
  sleep_until(shim_host_ns() + least * 1000);
}

// ---- clocks ----
// While the date is unknown, the time since the start takes its place.
static unsigned long real_ns(void) { return shim_host_unix_ns() ?: shim_host_ns(); }
ktime_t ktime_get_with_offset(enum tk_offsets offset) { return offset == TK_OFFS_REAL ? real_ns() : shim_host_ns(); }
ktime_t ktime_get(void) { return shim_host_ns(); }
void ktime_get_real_ts64(struct timespec64 *out) {
  unsigned long ns = real_ns();
  out->tv_sec = ns / NSEC_PER_SEC;
  out->tv_nsec = ns % NSEC_PER_SEC;
}
unsigned long long sched_clock(void) { return shim_host_ns(); }
struct timespec64 ns_to_timespec64(s64 ns) {
  s32 rest;
  struct timespec64 out = {.tv_sec = div_s64_rem(ns, NSEC_PER_SEC, &rest)};
  out.tv_nsec = rest;
  if (rest < 0) {
    out.tv_sec--;
    out.tv_nsec += NSEC_PER_SEC;
  }
  return out;
}

// ---- units: HZ divides both 1000 and 1000000 here ----
unsigned long __msecs_to_jiffies(const unsigned int ms) {
  if ((int)ms < 0) return MAX_JIFFY_OFFSET;
  return DIV_ROUND_UP((unsigned long)ms * HZ, MSEC_PER_SEC);
}
unsigned int jiffies_to_msecs(const unsigned long j) { return j * (MSEC_PER_SEC / HZ); }
unsigned int jiffies_to_usecs(const unsigned long j) { return j * (USEC_PER_SEC / HZ); }
u64 jiffies64_to_nsecs(u64 j) { return j * (NSEC_PER_SEC / HZ); }
u64 jiffies64_to_msecs(u64 j) { return j * (MSEC_PER_SEC / HZ); }
unsigned long nsecs_to_jiffies(u64 ns) { return ns / (NSEC_PER_SEC / HZ); }
unsigned long round_jiffies(unsigned long j) { return j; }  // nothing to gain without a tick
unsigned long round_jiffies_relative(unsigned long j) { return j; }
clock_t jiffies_to_clock_t(unsigned long j) { return j / (HZ / USER_HZ); }
unsigned long clock_t_to_jiffies(unsigned long ticks) { return ticks * (HZ / USER_HZ); }
