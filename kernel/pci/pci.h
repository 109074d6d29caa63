// SPDX-License-Identifier: GPL-2.0-or-later
// The PCI functions of the machine: identity, registers, interrupts. PCI Local Bus 3.0 and PCI
// Express Base 4.0. For threads of CPU 0.
#pragma once

#include "kernel/arch_machine.h"
#include "kernel/base/bytes.h"
#include "kernel/base/containers.h"
#include "kernel/base/format.h"
#include "kernel/irq/irq.h"

namespace pci {

using Function = arch::pci_config::Function;

struct Bar {
  u64 base = 0;   // as a CPU finds it; the host may show devices other addresses
  u64 bytes = 0;  // 0 = not present, or the upper half of a 64-bit BAR
  bool is_port = false;
  bool is_64_bit = false;
  bool is_prefetchable = false;
};

constexpr u32 kBars = 6;

struct Device {
  Function function;
  u16 vendor = 0, id = 0;
  u16 subsystem_vendor = 0, subsystem = 0;
  u8 class_code = 0, subclass = 0, interface = 0, revision = 0;
  u8 interrupt_pin = 0;                          // 0 = none, 1 = INTA
  u8 msi = 0, msix = 0, express = 0, power = 0;  // offsets of capabilities; 0 = not present
  std::array<Bar, kBars> bars{};

  u32 read(u16 offset, u8 bytes) const { return arch::pci_config::read(function, offset, bytes); }
  void write(u16 offset, u8 bytes, u32 value) const {
    arch::pci_config::write(function, offset, bytes, value);
  }
};

// Finds every function behind every host bridge. Called once, at boot.
Result<void> init();
std::span<const Device> devices();
// Does its DMA see what lies in the CPUs' caches? Without that no driver here can serve it.
bool is_coherent(const Device& device);

// Returns the offset of capability `id` after `after` (0 = from the start), or 0.
u8 find_capability(const Device& device, u8 id, u8 after = 0);
// Does the same in the extended configuration space of PCI Express.
u16 find_extended_capability(const Device& device, u16 id);

enum class Access : u16 { kPorts = 1 << 0, kMemory = 1 << 1, kBusMaster = 1 << 2 };
void enable(const Device& device, Access access);
void disable(const Device& device, Access access);
// Turns the interrupt pin of devices without messages on or off. It is on after reset, and must be
// off before messages are used.
void set_pin_interrupt(const Device& device, bool on);

// Maps a memory BAR's registers, uncached, and lets the device respond there.
Result<std::span<Byte>> map_bar(const Device& device, u32 index);

// Messages. A device has a table of `msix_count` messages, or up to 32 consecutive plain ones, of
// which only one is used. 0 means that it has no such capability.
u32 msix_count(const Device& device);
Result<void> set_msix(const Device& device, u32 entry, irq::Message message);
Result<void> mask_msix(const Device& device, u32 entry, bool masked);
Result<void> enable_msix(const Device& device);
Result<void> enable_msi(const Device& device, irq::Message message);
void disable_messages(const Device& device);

// Prints "0000:00:1f.2 8086:2922 class 0106".
void print(const Device& device, base::Writer& out);

}  // namespace pci
