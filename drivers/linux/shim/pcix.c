// SPDX-License-Identifier: GPL-2.0-or-later
// PCI-X, as old server cards have it (e1000). PCI-X Addendum 2.0, 7.2.3.
#include <linux/pci.h>

#include "drivers/linux/shim/shim.h"

// The most bytes of one read are 512 << the field.
int pcix_get_mmrbc(struct pci_dev *device) {
  u8 cap = pci_find_capability(device, PCI_CAP_ID_PCIX);
  u16 command;
  if (!cap) return -EINVAL;
  pci_read_config_word(device, cap + PCI_X_CMD, &command);
  return 512 << ((command & PCI_X_CMD_MAX_READ) >> 2);
}
int pcix_set_mmrbc(struct pci_dev *device, int bytes) {
  u8 cap = pci_find_capability(device, PCI_CAP_ID_PCIX);
  u16 command;
  if (!cap || bytes < 512 || bytes > 4096) return -EINVAL;
  pci_read_config_word(device, cap + PCI_X_CMD, &command);
  command = (command & ~PCI_X_CMD_MAX_READ) | (ffs(bytes) - 10) << 2;
  return pci_write_config_word(device, cap + PCI_X_CMD, command);
}
