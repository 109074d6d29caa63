// SPDX-License-Identifier: GPL-2.0-or-later
// Accesses configuration space by the enhanced mechanism (PCI Express Base 4.0, 7.2.2).
#include <arch/pci_config.h>

#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/platform.h"
#include "kernel/log.h"

namespace arch::pci_config {
namespace {

constexpr u64 kBusBytes = kMiB;

// A host's configuration space is mapped as a whole when it is first touched.
constinit std::array<bool, boot::kMostPciHosts> mapped{}, usable{};

// Returns the address of the function's page, or 0 if no host has its bus.
u64 page_of(const Function& f) {
  const auto& hosts = hardware().pci_hosts;
  for (u32 i = 0; i < hosts.size(); i++) {
    const boot::PciHost& host = hosts[i];
    if (host.segment != f.segment || f.bus < host.first_bus || f.bus > host.last_bus) continue;
    if (!std::exchange(mapped[i], true)) {
      u64 bytes = (u64{host.last_bus} - host.first_bus + 1) * kBusBytes;
      auto done = paging::map_device(host.ecam, bytes);
      usable[i] = done.has_value();
      if (!done.has_value()) log::warn("pci", "segment {}: {}", host.segment, done.error());
    }
    if (!usable[i]) return 0;
    return host.ecam + (u64{f.bus} - host.first_bus) * kBusBytes +
           (u64{f.device} << 15 | u64{f.function} << 12);
  }
  return 0;
}

}  // namespace

u32 read(const Function& f, u16 offset, u8 bytes) {
  u64 page = page_of(f);
  if (page == 0) return bytes == 4 ? ~u32{0} : (u32{1} << 8 * bytes) - 1;
  if (bytes == 1) return read_device<u8>(page + offset);
  if (bytes == 2) return read_device<u16>(page + offset);
  return read_device<u32>(page + offset);
}

void write(const Function& f, u16 offset, u8 bytes, u32 value) {
  u64 page = page_of(f);
  if (page == 0) return;
  if (bytes == 1) write_device<u8>(page + offset, static_cast<u8>(value));
  if (bytes == 2) write_device<u16>(page + offset, static_cast<u16>(value));
  if (bytes == 4) write_device<u32>(page + offset, value);
}

u32 range_count() {
  return std::max<u32>(1, static_cast<u32>(hardware().pci_hosts.size()));
}

Range range(u32 index) {
  const auto& hosts = hardware().pci_hosts;
  if (index >= hosts.size()) return {0, 0, 0, true, {}};
  const boot::PciHost& host = hosts[index];
  return {host.segment, host.first_bus, host.last_bus, host.coherent, host.windows.view()};
}

namespace {

// Returns the bridge to bus `below`. It lies on a bus with a lower number.
Result<Function> bridge_to(const boot::PciHost& host, u8 below) {
  constexpr u16 kVendor = 0x00, kHeaderType = 0x0e, kSecondary = 0x19;
  constexpr u32 kNobody = 0xffff, kMany = 0x80, kBridge = 1;
  for (u32 bus = host.first_bus; bus < below; bus++) {
    for (u32 number = 0; number < 32 * 8; number++) {
      Function f{host.segment, static_cast<u8>(bus), static_cast<u8>(number / 8),
                 static_cast<u8>(number % 8)};
      bool nobody = read(f, kVendor, 2) == kNobody;
      u32 header = nobody ? 0 : read(f, kHeaderType, 1);
      if ((header & ~kMany) == kBridge && read(f, kSecondary, 1) == below) return f;
      if (f.function == 0 && (header & kMany) == 0) number += 7;
    }
  }
  return fail(Errc::kNotFound, "no bridge leads to the function's bus");
}

Result<u32> line_on_own_bus(const boot::PciHost& host, const Function& f, u32 pin) {
  u32 own = u32{f.device} << 3 | f.function;
  for (const boot::PinRoute& row : host.pins)
    if (row.pin == pin && (row.device_function & host.pin_mask) == (own & host.pin_mask))
      return row.to.line;
  return fail(Errc::kNotFound, "the function's pin is wired to no line");
}

}  // namespace

// The host's map is for its own bus. A bridge passes a pin on as the one that many places further
// as the number of the device says (PCI-to-PCI Bridge 1.2, 9.1).
Result<u32> pin_line(const Function& function, u8 pin) {
  if (pin == 0 || pin > 4) return fail(Errc::kInvalidArgument, "a function has pins 1 to 4");
  Function f = function;
  u32 at = pin;
  for (const boot::PciHost& host : hardware().pci_hosts) {
    if (host.segment != f.segment || f.bus < host.first_bus || f.bus > host.last_bus) continue;
    while (f.bus != host.first_bus) {
      at = (at - 1 + f.device) % 4 + 1;
      f = TRY(bridge_to(host, f.bus));
    }
    return line_on_own_bus(host, f, at);
  }
  return fail(Errc::kNotFound, "the function's bus belongs to no host");
}

}  // namespace arch::pci_config
