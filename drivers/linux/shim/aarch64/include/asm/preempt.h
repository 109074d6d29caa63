/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The preemption count is one word, as Linux code runs on one CPU. Linux's own keeps it in the
 * task. */
#pragma once
#include <linux/compiler.h>
#include <linux/types.h>
extern int __preempt_count;
#define PREEMPT_ENABLED 0
#define init_task_preempt_count(task) \
  do {                                \
  } while (0)
#define init_idle_preempt_count(task, cpu) \
  do {                                     \
  } while (0)
static __always_inline int preempt_count(void) {
  return READ_ONCE(__preempt_count);
}
static __always_inline void preempt_count_set(int count) {
  WRITE_ONCE(__preempt_count, count);
}
static __always_inline void set_preempt_need_resched(void) {}
static __always_inline void clear_preempt_need_resched(void) {}
static __always_inline bool test_preempt_need_resched(void) {
  return false;
}
static __always_inline void __preempt_count_add(int value) {
  WRITE_ONCE(__preempt_count, __preempt_count + value);
}
static __always_inline void __preempt_count_sub(int value) {
  WRITE_ONCE(__preempt_count, __preempt_count - value);
}
static __always_inline bool __preempt_count_dec_and_test(void) {
  __preempt_count_sub(1);
  return !preempt_count();
}
static __always_inline bool should_resched(int offset) {
  return false;
}
