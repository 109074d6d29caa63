// SPDX-License-Identifier: GPL-2.0-or-later
// Turns off what translates the addresses of devices. Called at boot, before a driver starts.
#pragma once

#include "kernel/acpi/tables.h"

namespace acpi {

// The registers of one unit. Tests have a model of them.
class IommuRegisters {
 public:
  virtual u32 read(u32 offset) = 0;
  virtual void write(u32 offset, u32 value) = 0;

 protected:
  ~IommuRegisters() = default;
};
constexpr u64 kIommuBytes = 4096;  // all registers that are used lie in these

enum class IommuState : u8 { kWasOff, kTurnedOff, kStays };

// Ends translation, protected ranges of memory and remapping of interrupts. Returns kStays if the
// unit does not obey.
IommuState turn_off_iommu(Iommu::Kind kind, IommuRegisters& registers);

}  // namespace acpi
