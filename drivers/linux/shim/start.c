// SPDX-License-Identifier: GPL-2.0-or-later
// Starts the Linux side: memory, PCI functions, threads, then every initcall in Linux's order.
#include <linux/init.h>
#include <linux/radix-tree.h>

#include "drivers/linux/shim/shim.h"

// The kernel's linker script gathers Linux's initcall sections in level order (0 … 7) between these.
extern initcall_entry_t linux_initcalls_begin[], linux_initcalls_end[];

int shim_searching(void) { return shim_works_left(); }

int shim_start(unsigned long arena_bytes, const char *parameters) {
  int error = shim_mm_start(arena_bytes);
  if (error) return error;
  shim_tick();
  radix_tree_init();
  shim_pci_start();
  shim_set_parameters(parameters);
  error = shim_workqueue_start() ?: shim_softirq_start();
  if (error) return error;
  for (initcall_entry_t *entry = linux_initcalls_begin; entry < linux_initcalls_end; entry++) {
    initcall_t call = initcall_from_entry(entry);
    int result = call();
    if (result) pr_warn("a driver's initcall at %lx failed: error %d\n", (unsigned long)call, -result);
  }
  return 0;
}
