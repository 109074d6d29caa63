// SPDX-License-Identifier: GPL-2.0-or-later
// The segment of a PCI bus as Linux's x86 headers find it.
#include "drivers/linux/shim/shim.h"

bool shim_set_segment(struct pci_bus *bus, unsigned int segment) {
  struct pci_sysdata *system = kzalloc(sizeof(*system), GFP_KERNEL);
  if (!system) return false;
  system->domain = segment;
  bus->sysdata = system;
  return true;
}
