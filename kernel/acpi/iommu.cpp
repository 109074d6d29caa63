// SPDX-License-Identifier: GPL-2.0-or-later
// Turns IOMMUs off. VT-d Architecture Specification 4.1, 11.4; AMD I/O Virtualization Technology
// 3.08, 3.4.
#include "kernel/acpi/iommu.h"

namespace acpi {
namespace {

// A read takes some 100 ns or more. A unit that obeys does so within a few reads.
constexpr u32 kMostReads = 100'000;

// Waits until the bits of `mask` are 0. Returns false if that takes too long.
bool settles(IommuRegisters& registers, u32 offset, u32 mask) {
  for (u32 i = 0; i < kMostReads; i++)
    if ((registers.read(offset) & mask) == 0) return true;
  return false;
}

IommuState turn_off_intel(IommuRegisters& registers) {
  constexpr u32 kCommand = 0x18, kStatus = 0x1c, kProtected = 0x64;
  constexpr u32 kTranslation = u32{1} << 31, kInterrupts = 1 << 25;
  constexpr u32 kOneShots = 0x6900'0000;  // commands that are done when their status bit is set
  constexpr u32 kProtect = u32{1} << 31, kProtectStatus = 1 << 0;
  constexpr u32 kAbsent = ~u32{0};
  u32 status = registers.read(kStatus);
  if (status == kAbsent) return IommuState::kWasOff;
  IommuState state = IommuState::kWasOff;
  // A write may change only one bit (11.4.4.1).
  for (u32 bit : {kTranslation, kInterrupts}) {
    status = registers.read(kStatus);
    if ((status & bit) == 0) continue;
    registers.write(kCommand, status & ~kOneShots & ~bit);
    if (!settles(registers, kStatus, bit)) return IommuState::kStays;
    state = IommuState::kTurnedOff;
  }
  u32 ranges = registers.read(kProtected);
  if ((ranges & (kProtect | kProtectStatus)) == 0) return state;
  registers.write(kProtected, ranges & ~kProtect);
  return settles(registers, kProtected, kProtectStatus) ? IommuState::kTurnedOff
                                                        : IommuState::kStays;
}

IommuState turn_off_amd(IommuRegisters& registers) {
  constexpr u32 kControl = 0x18;
  constexpr u32 kEnable = 1 << 0, kEvents = 1 << 2, kCommands = 1 << 12;
  constexpr u32 kAbsent = ~u32{0};
  u32 control = registers.read(kControl);
  if (control == kAbsent || (control & kEnable) == 0) return IommuState::kWasOff;
  // Turns the lists off first, so that the unit writes nothing to them while it goes off.
  registers.write(kControl, control & ~(kEvents | kCommands));
  registers.write(kControl, control & ~(kEvents | kCommands | kEnable));
  return settles(registers, kControl, kEnable) ? IommuState::kTurnedOff : IommuState::kStays;
}

}  // namespace

IommuState turn_off_iommu(Iommu::Kind kind, IommuRegisters& registers) {
  return kind == Iommu::Kind::kIntel ? turn_off_intel(registers) : turn_off_amd(registers);
}

}  // namespace acpi
