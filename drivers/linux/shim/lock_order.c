// SPDX-License-Identifier: GPL-2.0-or-later
// Checks the order in which sleeping locks are taken, if the host asks for it (make DEBUG=1). Once
// class B was taken under class A, taking A under B is an inversion, which is logged with both
// names, once per pair.
#include <linux/sched.h>

#include "drivers/linux/shim/shim.h"

enum { kMaxClasses = 96, kMaxHeld = 64 };
static struct shim_lock_class classes[kMaxClasses];
static int class_count;
static unsigned long after[kMaxClasses][BITS_TO_LONGS(kMaxClasses)];  // [a]: what was taken under a
static struct {
  const struct task_struct *task;
  int class;
} held[kMaxHeld];
static int held_count;
static int inversions;

int shim_lock_inversions(void) { return inversions; }
void shim_lock_report(int *locks, int *orders) {
  *locks = class_count;
  *orders = 0;
  for (int i = 0; i < class_count; i++) *orders += bitmap_weight(after[i], kMaxClasses);
}

// Returns -1 for a lock that is not checked, because it has no class or the table is full. A
// lock_class_key is empty here, so two keys of one function have the same address; the name
// distinguishes them.
static int number_of(struct shim_lock_class class) {
  if (!class.key) return -1;
  for (int i = 0; i < class_count; i++) {
    if (classes[i].key == class.key && classes[i].name == class.name) return i;
  }
  if (class_count == kMaxClasses) return -1;
  classes[class_count] = class;
  return class_count++;
}
// Is `to` reachable from `from` by edges? The graph is small: depth first, with a set of the
// visited nodes.
static bool reaches(int from, int to, unsigned long *seen) {
  if (from == to) return true;
  if (__test_and_set_bit(from, seen)) return false;
  for (int next = 0; next < class_count; next++) {
    if (test_bit(next, after[from]) && reaches(next, to, seen)) return true;
  }
  return false;
}
static void add_edge(int outer, int inner) {
  unsigned long seen[BITS_TO_LONGS(kMaxClasses)] = {};
  if (outer == inner || __test_and_set_bit(inner, after[outer])) return;
  if (!reaches(inner, outer, seen)) return;
  inversions++;
  pr_err("lock order: %s is taken under %s, and elsewhere the other way round\n", classes[inner].name,
         classes[outer].name);
}
void shim_lock_taken(struct shim_lock_class class) {
  int number = shim_host_checks_locks() ? number_of(class) : -1;
  if (number < 0 || held_count == kMaxHeld) return;
  held[held_count].task = current;
  held[held_count++].class = number;
}
void shim_lock_taking(struct shim_lock_class class) {
  int number = shim_host_checks_locks() ? number_of(class) : -1;
  if (number < 0) return;
  for (int i = 0; i < held_count; i++) {
    if (held[i].task == current) add_edge(held[i].class, number);
  }
  shim_lock_taken(class);
}
// The lock is not always given back by the task that took it: removes the newest row of the class,
// the caller's own first.
void shim_lock_given(struct shim_lock_class class) {
  int number = shim_host_checks_locks() ? number_of(class) : -1, found = -1;
  for (int i = 0; i < held_count; i++) {
    if (held[i].class == number && (found < 0 || held[i].task == current)) found = i;
  }
  if (found < 0) return;
  held_count--;
  for (int i = found; i < held_count; i++) held[i] = held[i + 1];
}
