// SPDX-License-Identifier: GPL-2.0-or-later
// PCI configuration space: by memory if the firmware describes that, otherwise through the old
// ports.
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

// `offset` is a multiple of `bytes`, which is 1, 2 or 4. Functions that do not exist read as all
// ones, as on the bus. Ports reach only the first 256 bytes of segment 0. For threads of CPU 0.
u32 read(const Function& function, u16 offset, u8 bytes);
void write(const Function& function, u16 offset, u8 bytes, u32 value);

// The buses that can be reached according to the firmware; at least those of segment 0. Each of
// them may have a host bridge.
struct Range {
  u16 segment;
  u8 first_bus, last_bus;
  bool coherent = true;
  std::span<const boot::PciWindow> windows{};  // the firmware places BARs on every machine
};
u32 range_count();
Range range(u32 index);

constexpr bool kHasPorts = true, kPinsActiveLow = true;
// Returns what the firmware left in the function's interrupt line register.
Result<u32> pin_line(const Function& function, u8 pin);

}  // namespace arch::pci_config
