// SPDX-License-Identifier: GPL-2.0-or-later
// Accesses PCI configuration space in memory (ECAM), where the firmware says that there is some.
#pragma once

#include <span>

#include "boot/hardware.h"
#include "kernel/base/result.h"

namespace arch::pci_config {

struct Function {
  u16 segment = 0;
  u8 bus = 0, device = 0, function = 0;
  bool operator==(const Function&) const = default;
};

// `offset` is a multiple of `bytes`, which is 1, 2 or 4. What does not exist reads as all ones.
// Thread context of CPU 0.
u32 read(const Function& function, u16 offset, u8 bytes);
void write(const Function& function, u16 offset, u8 bytes, u32 value);

// Describes buses that the firmware says can be reached. If there are none, one row holds no bus.
struct Range {
  u16 segment;
  u8 first_bus, last_bus;
  bool coherent;
  std::span<const boot::PciWindow> windows;
};
u32 range_count();
Range range(u32 index);

constexpr bool kHasPorts = false, kPinsActiveLow = false;
// Returns the line of a function's interrupt pin by the firmware's map of the host bridge.
Result<u32> pin_line(const Function& function, u8 pin);

}  // namespace arch::pci_config
