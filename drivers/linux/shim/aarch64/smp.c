// SPDX-License-Identifier: GPL-2.0-or-later
// Linux for arm64 is always built for many CPUs. It sees one, and its per-CPU data is plain data.
#include <linux/cpumask.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "drivers/linux/shim/shim.h"

struct cpumask __cpu_possible_mask = {{1}};
atomic_t __num_online_cpus = ATOMIC_INIT(1);
unsigned int nr_cpu_ids = 1;
DEFINE_PER_CPU_READ_MOSTLY(int, cpu_number);

unsigned int cpumask_next_wrap(int n, const struct cpumask *mask, int start, bool wrap) { return nr_cpumask_bits; }
int __netif_set_xps_queue(struct net_device *device, const unsigned long *mask, u16 index, enum xps_map_type type) {
  return 0;
}
// Nobody reads under RCU while a thread runs. A small function pointer is an offset into what is freed.
void kvfree_call_rcu(struct rcu_head *head, rcu_callback_t function) {
  kvfree(head ? (void *)head - (unsigned long)function : (void *)function);
}
