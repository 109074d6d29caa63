// SPDX-License-Identifier: GPL-2.0-or-later
// Removes devices: PCI Express slots with an attention button, or a card that is suddenly gone (PCI
// Express Base 4.0, 6.7.1). Slots are polled; a card that is inserted later is ignored. A presence
// bit that was never set means nothing: QEMU's slots do not set it for devices that were there at
// the start.
#include "drivers/linux/shim/shim.h"

enum { kMaxSlots = 32 };
struct slot {
  unsigned int bus, devfn;  // of the port
  unsigned int capability;  // its PCI Express capability
  unsigned int below, last;  // the buses behind the port
  bool present;  // the presence bit's last value
};
static struct slot slots[kMaxSlots];
static int slot_count = -1;  // not counted yet

static unsigned int port_read(unsigned int bus, unsigned int devfn, int offset, int width) {
  return shim_host_pci_read(bus, devfn, offset, width);
}
static unsigned int express_of(unsigned int bus, unsigned int devfn) {
  unsigned int at = port_read(bus, devfn, PCI_CAPABILITY_LIST, 1) & ~3u;
  for (int hops = 0; at >= 0x40 && hops < 48; hops++, at = port_read(bus, devfn, at + 1, 1) & ~3u) {
    if (port_read(bus, devfn, at, 1) == PCI_CAP_ID_EXP) return at;
  }
  return 0;
}
static void found(unsigned int bus, unsigned int devfn, void *context) {
  if ((port_read(bus, devfn, PCI_HEADER_TYPE, 1) & 0x7f) != PCI_HEADER_TYPE_BRIDGE || slot_count == kMaxSlots) return;
  unsigned int at = express_of(bus, devfn);
  if (!at || !(port_read(bus, devfn, at + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_SLOT)) return;
  if (!(port_read(bus, devfn, at + PCI_EXP_SLTCAP, 4) & PCI_EXP_SLTCAP_HPC)) return;
  unsigned int segment = bus & ~0xffu;
  slots[slot_count++] = (struct slot){.bus = bus,
                                      .devfn = devfn,
                                      .capability = at,
                                      .below = segment | port_read(bus, devfn, PCI_SECONDARY_BUS, 1),
                                      .last = segment | port_read(bus, devfn, PCI_SUBORDINATE_BUS, 1)};
}

static void power_off(const struct slot *slot) {
  unsigned int at = slot->capability + PCI_EXP_SLTCTL;
  unsigned int control = port_read(slot->bus, slot->devfn, at, 2) & ~PCI_EXP_SLTCTL_PIC;
  shim_host_pci_write(slot->bus, slot->devfn, at, 2, control | PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF);
}

static void look_at(struct slot *slot) {
  unsigned int at = slot->capability + PCI_EXP_SLTSTA;
  unsigned int status = port_read(slot->bus, slot->devfn, at, 2);
  bool present = status & PCI_EXP_SLTSTA_PDS, asked = status & PCI_EXP_SLTSTA_ABP;
  bool gone = (slot->present && !present) || !shim_pci_answers(slot->below, slot->last);
  slot->present = present;
  // These bits are cleared by writing them back.
  if (status & (PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC))
    shim_host_pci_write(slot->bus, slot->devfn, at, 2, status & (PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC));
  if (!gone && !asked) return;
  int count = shim_pci_remove(slot->below, slot->last, !gone);
  if (count > 0) pr_info("slot of bus %02x: its devices were taken away\n", slot->below);
  if (!gone) power_off(slot);
}

int shim_hotplug_poll(void) {
  if (slot_count < 0) {
    slot_count = 0;
    shim_host_pci_each(found, NULL);
  }
  for (int i = 0; i < slot_count; i++) look_at(&slots[i]);
  return slot_count;
}
