// SPDX-License-Identifier: GPL-2.0-or-later
// Implements PCI Express enhanced configuration access (PCI Express Base 4.0, 7.2.2) and the ports
// 0xcf8/0xcfc (PCI Local Bus 3.0, 3.2.2.3.2).
#include <arch/pci_config.h>

#include <arch/paging.h>
#include <arch/port_io.h>

#include "arch/x86_64/platform.h"
#include "kernel/log.h"

namespace arch::pci_config {
namespace {

constexpr u16 kAddressPort = 0xcf8, kDataPort = 0xcfc;
constexpr u32 kNothing = ~u32{0};

constexpr u64 kBusBytes = kMiB;

// A segment's configuration space in memory. It is mapped as a whole when it is first used, because
// its buses are examined one by one. What overlaps RAM cannot be configuration space, whatever the
// table says.
struct Window {
  bool mapped = false;
  u32 buses = 0;  // from the first bus on
};
constinit std::array<Window, boot::kMostPciHosts> windows{};

void open(const boot::PciHost& s, Window& window) {
  window.mapped = true;
  u32 buses = 0;
  u32 most = u32{s.last_bus} - s.first_bus + 1;
  while (buses < most && !paging::is_mapped(s.ecam + buses * kBusBytes)) buses++;
  if (buses < most)
    log::warn("pci", "segment {}: {} of its {} buses lie in RAM", s.segment, most - buses, most);
  if (paging::map_device(s.ecam, buses * kBusBytes).has_value()) window.buses = buses;
}

// Returns the function's page of configuration space, or 0 if no segment in memory contains its
// bus.
u64 page_of(const Function& f) {
  const auto& hosts = firmware().hardware.pci_hosts;
  for (u32 i = 0; i < hosts.size(); i++) {
    const boot::PciHost& s = hosts[i];
    if (s.segment != f.segment || f.bus < s.first_bus || f.bus > s.last_bus) continue;
    if (!windows[i].mapped) open(s, windows[i]);
    u32 bus = f.bus - u32{s.first_bus};
    if (bus >= windows[i].buses) return 0;
    return s.ecam + (u64{bus} << 20 | u64{f.device} << 15 | u64{f.function} << 12);
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

u32 range_count() {
  return std::max<u32>(1, static_cast<u32>(firmware().hardware.pci_hosts.size()));
}

Range range(u32 index) {
  const auto& hosts = firmware().hardware.pci_hosts;
  if (index >= hosts.size()) return {0, 0, 255};
  return {hosts[index].segment, hosts[index].first_bus, hosts[index].last_bus};
}

Result<u32> pin_line(const Function& f, u8 pin) {
  constexpr u16 kInterruptLine = 0x3c;
  u32 line = read(f, kInterruptLine, 1);
  if (pin == 0 || line == 0 || line == 0xff)
    return fail(Errc::kNotFound, "the function's pin is wired to no line");
  return line;
}

}  // namespace arch::pci_config
