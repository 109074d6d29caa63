// SPDX-License-Identifier: GPL-2.0-or-later
// Gives bus numbers and addresses to PCI functions where no firmware did. A kernel that was loaded
// without firmware finds all of them zero. PCI-to-PCI Bridge Architecture 1.2, chapter 3.
#pragma once

#include <span>

#include "boot/hardware.h"

namespace pci {

// Configuration space of one host. What does not exist reads as all ones.
class ConfigSpace {
 public:
  struct Place {
    u8 bus, device, function;
  };
  virtual u32 read(Place place, u16 offset, u8 bytes) = 0;
  virtual void write(Place place, u16 offset, u8 bytes, u32 value) = 0;

 protected:
  ~ConfigSpace() = default;
};

struct Assignment {
  bool by_firmware = false;  // some have addresses or numbers already: nothing was changed
  u32 bars = 0, bridges = 0;
  u32 without_room = 0;  // BARs and bridges that got nothing
};

// Numbers the buses behind the host's first one, and places every memory BAR in the windows. BARs
// of I/O ports get nothing.
Assignment assign(ConfigSpace& config, u8 first_bus, u8 last_bus,
                  std::span<const boot::PciWindow> windows);

// Returns where a CPU finds what a BAR with this value decodes.
u64 cpu_address(std::span<const boot::PciWindow> windows, bool port, u64 bus_address);

}  // namespace pci
