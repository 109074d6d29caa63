// SPDX-License-Identifier: GPL-2.0-or-later
// Walks from each host bridge through the PCI-to-PCI bridges below it, and sizes the BARs. Only the
// firmware's methods could tell where the host bridges are, so every bus that no bridge led to is
// examined, too.
#include "kernel/pci/pci.h"

#include <bitset>

#include "kernel/log.h"
#include "kernel/pci/assign.h"
#include "kernel/time/clock.h"

namespace pci {
namespace {

// Offsets in the configuration header, PCI Local Bus 3.0, 6.1.
constexpr u16 kVendor = 0x00, kId = 0x02, kCommand = 0x04, kStatus = 0x06, kRevision = 0x08,
              kInterface = 0x09, kSubclass = 0x0a, kClass = 0x0b, kHeaderType = 0x0e, kBar0 = 0x10,
              kSecondaryBus = 0x19, kSubsystemVendor = 0x2c, kSubsystem = 0x2e,
              kInterruptPin = 0x3d;
constexpr u16 kNoVendor = 0xffff;
constexpr u8 kBridgeClass = 0x06, kPciBridge = 0x04;
constexpr u8 kMultiFunction = 0x80;
constexpr u16 kDecode = 0x3;  // command bits: ports and memory
constexpr u16 kMaster = 0x4;
constexpr u8 kDisplayClass = 0x03;

constinit StaticVector<Device, 512> found;  // a server with two sockets has about 300
constinit u32 silenced = 0;

u32 probe_bar(const Device& d, u16 offset) {
  u32 old = d.read(offset, 4);
  d.write(offset, 4, ~u32{0});
  u32 mask = d.read(offset, 4);
  d.write(offset, 4, old);
  return mask;
}

// Reads one BAR at `index`. Returns how many slots it takes.
u32 read_bar(Device& d, u32 index, u32 slots) {
  auto offset = static_cast<u16>(kBar0 + 4 * index);
  u32 low = d.read(offset, 4);
  u32 mask = probe_bar(d, offset);
  if (mask == 0 || mask == ~u32{0}) return 1;
  Bar& bar = d.bars[index];
  bar.is_port = (low & 1) != 0;
  if (bar.is_port) {
    // A device may leave the upper half of a port number unwired; those bits read as zero.
    u32 size_mask = (mask & 0xfffc) | 0xffff0000;
    bar.base = low & 0xfffc;
    bar.bytes = ~size_mask + 1;
    return 1;
  }
  bar.is_prefetchable = (low & 8) != 0;
  bar.is_64_bit = (low & 6) == 4 && index + 1 < slots;
  bar.base = low & ~u32{0xf};
  u64 size_mask = 0xffff'ffff'0000'0000 | (mask & ~u32{0xf});
  if (bar.is_64_bit) {
    auto upper = static_cast<u16>(offset + 4);
    bar.base |= u64{d.read(upper, 4)} << 32;
    size_mask = u64{probe_bar(d, upper)} << 32 | (mask & ~u32{0xf});
  }
  bar.bytes = ~size_mask + 1;
  return bar.is_64_bit ? 2 : 1;
}

// Returns the range of buses in which the function was found.
arch::pci_config::Range range_of(const Function& f) {
  for (u32 i = 0; i < arch::pci_config::range_count(); i++) {
    arch::pci_config::Range range = arch::pci_config::range(i);
    if (range.segment == f.segment && f.bus >= range.first_bus && f.bus <= range.last_bus)
      return range;
  }
  return {};
}

void read_bars(Device& d, u32 slots) {
  // While a BAR is being sized, the device must not respond at the trial address.
  u32 command = d.read(kCommand, 2);
  d.write(kCommand, 2, command & ~u32{kDecode});
  for (u32 i = 0; i < slots;) i += read_bar(d, i, slots);
  d.write(kCommand, 2, command);
  auto windows = range_of(d.function).windows;
  for (Bar& bar : d.bars)
    if (bar.base != 0) bar.base = cpu_address(windows, bar.is_port, bar.base);
}

Device describe(const Function& f) {
  Device d{.function = f};
  auto byte = [&](u16 offset) { return static_cast<u8>(d.read(offset, 1)); };
  auto word = [&](u16 offset) { return static_cast<u16>(d.read(offset, 2)); };
  d.vendor = word(kVendor);
  d.id = word(kId);
  d.class_code = byte(kClass);
  d.subclass = byte(kSubclass);
  d.interface = byte(kInterface);
  d.revision = byte(kRevision);
  d.interrupt_pin = byte(kInterruptPin);
  u8 header = byte(kHeaderType) & 0x7f;
  if (header == 0) {
    d.subsystem_vendor = word(kSubsystemVendor);
    d.subsystem = word(kSubsystem);
  }
  if (header <= 1) read_bars(d, header == 0 ? kBars : 2);
  const struct {
    u8 id;
    u8& offset;
  } kCapabilities[] = {{0x01, d.power}, {0x05, d.msi}, {0x10, d.express}, {0x11, d.msix}};
  for (const auto& c : kCapabilities) c.offset = find_capability(d, c.id);
  return d;
}

// Turns bus mastering off. What the firmware used may still write to memory that is ours now: a
// network card receives, a USB controller updates its lists. The driver turns it on again. A bridge
// passes on what others send, and a display may read the picture that is on the screen.
void silence(const Device& d) {
  if (d.class_code == kBridgeClass || d.class_code == kDisplayClass) return;
  u32 command = d.read(kCommand, 2);
  if ((command & kMaster) == 0) return;
  d.write(kCommand, 2, command & ~u32{kMaster});
  silenced++;
}

// The buses that are still to be examined. Firmware numbers each bus once; in a loop of bridges
// each is examined once, too.
struct Frontier {
  u16 segment;
  std::bitset<256> seen;
  StaticVector<u8, 256> todo;

  void add(u8 bus) {
    if (seen[bus]) return;
    seen[bus] = true;
    ASSERT(todo.push_back(bus));
  }
};

Result<void> look_at(const Function& f, Frontier& frontier) {
  if (!found.push_back(describe(f))) return fail(Errc::kFull, "more PCI functions than rows");
  const Device& d = found[found.size() - 1];
  silence(d);
  if (d.class_code == kBridgeClass && d.subclass == kPciBridge)
    frontier.add(static_cast<u8>(d.read(kSecondaryBus, 1)));
  return {};
}

Result<void> scan_bus(u8 bus, Frontier& frontier) {
  for (u8 device = 0; device < 32; device++) {
    Function f{frontier.segment, bus, device, 0};
    if (arch::pci_config::read(f, kVendor, 2) == kNoVendor) continue;
    bool many = (arch::pci_config::read(f, kHeaderType, 1) & kMultiFunction) != 0;
    for (u8 last = many ? 8 : 1; f.function < last; f.function++)
      if (arch::pci_config::read(f, kVendor, 2) != kNoVendor) TRY(look_at(f, frontier));
  }
  return {};
}

// The search takes about 10 ms on a machine with 256 buses, and may take ten times as long where
// each read traps to a hypervisor. After this limit only bridges are followed.
constexpr u64 kMostNs = 200'000'000;

Result<void> scan_range(const arch::pci_config::Range& range, u64 deadline_ns) {
  static Frontier frontier;
  frontier = {};
  frontier.segment = range.segment;
  usize next = 0;
  for (u32 root = range.first_bus; root <= range.last_bus; root++) {
    if (timing::now_ns() > deadline_ns) {
      log::warn("pci", "segment {}: buses from {:02x} on were not looked for: too slow",
                range.segment, root);
      return {};
    }
    frontier.add(static_cast<u8>(root));
    for (; next < frontier.todo.size(); next++) TRY(scan_bus(frontier.todo[next], frontier));
  }
  return {};
}

class HostSpace final : public ConfigSpace {
 public:
  explicit HostSpace(u16 segment) : segment_(segment) {}
  u32 read(Place p, u16 offset, u8 bytes) override {
    return arch::pci_config::read({segment_, p.bus, p.device, p.function}, offset, bytes);
  }
  void write(Place p, u16 offset, u8 bytes, u32 value) override {
    arch::pci_config::write({segment_, p.bus, p.device, p.function}, offset, bytes, value);
  }

 private:
  u16 segment_;
};

void prepare(const arch::pci_config::Range& range) {
  if (!range.coherent)
    log::warn("pci",
              "segment {}: its devices do not see the CPUs' caches, so no driver is bound to them",
              range.segment);
  if (range.windows.empty()) return;
  HostSpace space(range.segment);
  Assignment done = assign(space, range.first_bus, range.last_bus, range.windows);
  if (done.without_room != 0)
    log::warn("pci", "segment {}: {} BARs or bridges found no room", range.segment,
              done.without_room);
  if (!done.by_firmware)
    log::info("pci", "segment {}: {} BARs placed, {} bridges numbered", range.segment, done.bars,
              done.bridges);
}

}  // namespace

Result<void> init() {
  u64 begin = timing::now_ns();
  for (u32 i = 0; i < arch::pci_config::range_count(); i++) prepare(arch::pci_config::range(i));
  Result<void> status;
  for (u32 i = 0; i < arch::pci_config::range_count() && status.has_value(); i++)
    status = scan_range(arch::pci_config::range(i), begin + kMostNs);
  log::info("pci", "{} functions in {} ms, {} that the firmware had left on silenced", found.size(),
            base::ratio(timing::now_ns() - begin, 1'000'000, 1), silenced);
  return status;
}

std::span<const Device> devices() {
  return found.view();
}

bool is_coherent(const Device& device) {
  return range_of(device.function).coherent;
}

u8 find_capability(const Device& device, u8 id, u8 after) {
  constexpr u16 kFirst = 0x34, kHasList = 1 << 4;
  constexpr u32 kMost = 48;  // more do not fit into the space after the header
  if ((device.read(kStatus, 2) & kHasList) == 0) return 0;
  u32 next = after == 0 ? device.read(kFirst, 1) : device.read(after + 1, 1);
  for (u32 i = 0; i < kMost && next >= 0x40; i++) {
    auto offset = static_cast<u8>(next & 0xfc);
    if (device.read(offset, 1) == id) return offset;
    next = device.read(offset + 1, 1);
  }
  return 0;
}

u16 find_extended_capability(const Device& device, u16 id) {
  constexpr u16 kFirst = 0x100;
  constexpr u32 kMost = 256;
  if (device.express == 0) return 0;
  u16 offset = kFirst;
  for (u32 i = 0; i < kMost && offset >= kFirst; i++) {
    u32 head = device.read(offset, 4);
    if (head == 0 || head == ~u32{0}) return 0;
    if ((head & 0xffff) == id) return offset;
    offset = static_cast<u16>(head >> 20 & 0xffc);
  }
  return 0;
}

}  // namespace pci
