// SPDX-License-Identifier: GPL-2.0-or-later
// Describes the parts of a machine that cannot be found by asking them, as a device tree or ACPI
// tables list them: interrupt controllers, timer, CPUs, PCI hosts. Addresses are physical.
// Interrupts carry the numbers of the controller (INTIDs of a GIC). Each reader fills the rows that
// its source names.
#pragma once

#include "kernel/base/containers.h"

namespace boot {

struct AddressRange {
  u64 base = 0;
  u64 bytes = 0;
};

// How the firmware's services (PSCI) are called.
enum class Conduit : u8 { kNone, kHvc, kSmc };

// Turns messages of devices into interrupts: an ITS, or a frame that raises shared lines.
struct MessageUnit {
  u64 base = 0;
  u32 id = 0;          // as RequesterRow::unit has it: a phandle, or the MADT's number
  u32 first_line = 0;  // of a frame. If `lines` is 0, the frame's register tells both
  u32 lines = 0;
};

struct Gic {
  u8 version = 0;  // 0 = none was found
  u64 distributor = 0;
  u64 cpu_interface = 0;  // version 2
  StaticVector<AddressRange, 64> redistributors;
  u64 redistributor_stride = 0;  // bytes; 0 = each one's type register tells it
  StaticVector<MessageUnit, 16> its;
  StaticVector<MessageUnit, 16> frames;
};

struct LineTrigger {
  u32 line = 0;
  bool level = false;
  bool active_low = false;
};

struct PciWindow {
  enum class Space : u8 { kPorts, kMemory32, kMemory64 };
  Space space = Space::kMemory32;
  bool prefetchable = false;
  u64 bus_address = 0;  // what a BAR holds
  u64 address = 0;      // where a CPU finds it
  u64 bytes = 0;
};

// Requesters [first, first + count) are devices output, output + 1, ... of message unit `unit`.
struct RequesterRow {
  u32 first = 0, count = 0;
  u32 unit = 0;
  u32 output = 0;
};

// An interrupt pin of a function on the host's own bus.
struct PinRoute {
  u32 device_function = 0;  // device << 3 | function, under PciHost::pin_mask
  u32 pin = 0;              // 1 = INTA
  LineTrigger to;
};

struct PciHost {
  u64 ecam = 0;  // address of 1 MiB for each bus, from `first_bus` on
  u16 segment = 0;
  u8 first_bus = 0, last_bus = 0;
  bool coherent = false;  // devices see what lies in the CPUs' caches
  u32 requester_mask = 0xffff;
  u32 pin_mask = 0;
  StaticVector<PciWindow, 8> windows;
  StaticVector<RequesterRow, 8> requesters;
  StaticVector<PinRoute, 64> pins;
};

constexpr u32 kMostPciHosts = 64;

struct Hardware {
  StaticVector<u64, 256> cpus;  // affinity numbers (MPIDR), in the source's order
  Conduit conduit = Conduit::kNone;
  Gic gic;
  LineTrigger virtual_timer, physical_timer;  // line 0 = not told
  StaticVector<PciHost, kMostPciHosts> pci_hosts;
  u32 skipped = 0;  // rows that broke their format or had no room
};

}  // namespace boot
