// SPDX-License-Identifier: GPL-2.0-or-later
// PCI Express enhanced configuration access (PCI Express Base 4.0, 7.2.2) and the ports 0xcf8/0xcfc
// (PCI Local Bus 3.0, 3.2.2.3.2).
#include <arch/pci_config.h>

#include <arch/paging.h>
#include <arch/port_io.h>

#include "arch/x86_64/platform.h"

namespace arch::pci_config {
namespace {

constexpr u16 kAddressPort = 0xcf8, kDataPort = 0xcfc;
constexpr u32 kNothing = ~u32{0};

// The function's page of configuration space, or 0 when no segment in memory holds its bus.
u64 page_of(const Function& f) {
  for (const acpi::PciSegment& s : firmware().pci_segments) {
    if (s.segment != f.segment || f.bus < s.first_bus || f.bus > s.last_bus) continue;
    // The base stands for bus 0, whatever the first bus is (PCI Firmware 3.3, table 4-3).
    u64 page = s.base + (u64{f.bus} << 20 | u64{f.device} << 15 | u64{f.function} << 12);
    if (paging::is_mapped(page)) return page;
    return paging::map_device(page, paging::kPageBytes).has_value() ? page : 0;
  }
  return 0;
}

bool select_port(const Function& f, u16 offset) {
  if (f.segment != 0 || offset >= 256) return false;
  out32(kAddressPort, u32{1} << 31 | u32{f.bus} << 16 | u32{f.device} << 11 | u32{f.function} << 8 |
                          (offset & 0xfcu));
  return true;
}

u32 ones(u8 bytes) {
  return bytes == 4 ? kNothing : (u32{1} << 8 * bytes) - 1;
}

}  // namespace

u32 read(const Function& f, u16 offset, u8 bytes) {
  if (u64 page = page_of(f); page != 0) {
    if (bytes == 1) return *reinterpret_cast<volatile u8*>(page + offset);
    if (bytes == 2) return *reinterpret_cast<volatile u16*>(page + offset);
    return *reinterpret_cast<volatile u32*>(page + offset);
  }
  if (!select_port(f, offset)) return ones(bytes);
  auto port = static_cast<u16>(kDataPort + (offset & 3));
  return bytes == 1 ? in8(port) : bytes == 2 ? in16(port) : in32(port);
}

void write(const Function& f, u16 offset, u8 bytes, u32 value) {
  if (u64 page = page_of(f); page != 0) {
    if (bytes == 1) *reinterpret_cast<volatile u8*>(page + offset) = static_cast<u8>(value);
    if (bytes == 2) *reinterpret_cast<volatile u16*>(page + offset) = static_cast<u16>(value);
    if (bytes == 4) *reinterpret_cast<volatile u32*>(page + offset) = value;
    return;
  }
  if (!select_port(f, offset)) return;
  auto port = static_cast<u16>(kDataPort + (offset & 3));
  if (bytes == 1) out8(port, static_cast<u8>(value));
  if (bytes == 2) out16(port, static_cast<u16>(value));
  if (bytes == 4) out32(port, value);
}

u32 root_count() {
  return std::max<u32>(1, static_cast<u32>(firmware().pci_segments.size()));
}

Root root(u32 index) {
  const auto& segments = firmware().pci_segments;
  if (index >= segments.size()) return {0, 0};
  return {segments[index].segment, segments[index].first_bus};
}

}  // namespace arch::pci_config
