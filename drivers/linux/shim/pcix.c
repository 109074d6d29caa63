// SPDX-License-Identifier: GPL-2.0-or-later
// PCI-X: the most bytes of one read, 512 << a field of its command register (PCI-X Addendum 2.0, 7.2.3).
#include <linux/pci.h>

int pcix_get_mmrbc(struct pci_dev *device) {
  u8 cap = pci_find_capability(device, PCI_CAP_ID_PCIX);
  u16 command = 0;
  if (!cap || pci_read_config_word(device, cap + PCI_X_CMD, &command)) return -EINVAL;
  return 512 << ((command & PCI_X_CMD_MAX_READ) >> 2);
}

int pcix_set_mmrbc(struct pci_dev *device, int bytes) {
  u8 cap = pci_find_capability(device, PCI_CAP_ID_PCIX);
  u16 command = 0;
  if (!cap || bytes < 512 || bytes > 4096) return -EINVAL;
  if (pci_read_config_word(device, cap + PCI_X_CMD, &command)) return -EINVAL;
  command = (command & ~PCI_X_CMD_MAX_READ) | (ffs(bytes) - 10) << 2;
  return pci_write_config_word(device, cap + PCI_X_CMD, command) ? -EINVAL : 0;
}
