// SPDX-License-Identifier: GPL-2.0-or-later
// Walks the buses once, depth first. A bridge's windows begin where the cursors stand before it is
// entered, and end where they stand when it is left.
#include "kernel/pci/assign.h"

#include "kernel/base/bytes.h"

namespace pci {
namespace {

using boot::PciWindow;
using Place = ConfigSpace::Place;

constexpr u16 kVendor = 0x00, kCommand = 0x04, kClass = 0x0a, kHeaderType = 0x0e, kBar0 = 0x10,
              kPrimary = 0x18, kSecondary = 0x19, kSubordinate = 0x1a, kPortBase = 0x1c,
              kMemoryBase = 0x20, kMemoryLimit = 0x22, kPrefetchBase = 0x24, kPrefetchLimit = 0x26,
              kPrefetchBaseUpper = 0x28, kPrefetchLimitUpper = 0x2c;
constexpr u32 kDecode = 3, kMemory = 2, kBusMaster = 4;
constexpr u32 kBridgeClass = 0x0604;
constexpr u64 kBridgeUnit = kMiB;  // granularity of a bridge's memory windows
constexpr u32 kMostDepth = 16;

// A run of bus addresses that is handed out from its beginning.
struct Space {
  u64 next = 0, end = 0;

  Result<u64> take(u64 bytes) {
    u64 at = base::round_up(next, bytes);
    if (at < next || at > end || bytes > end - at)
      return fail(Errc::kFull, "no room in the PCI host's window");
    next = at + bytes;
    return at;
  }
  void align() { next = std::min(base::round_up(next, kBridgeUnit), end); }
};

// Returns the largest window of a kind. Address 0 means "none" in a BAR, so it is never given.
Space largest(std::span<const PciWindow> windows, PciWindow::Space kind) {
  Space space;
  for (const PciWindow& w : windows) {
    if (w.space != kind || w.bytes <= space.end - space.next) continue;
    u64 end = w.bus_address + w.bytes;
    if (kind == PciWindow::Space::kMemory32) end = std::min<u64>(end, 4 * kGiB);
    space = {std::max<u64>(w.bus_address, kBridgeUnit), end};
    if (space.next > space.end) space = {};
  }
  return space;
}

class Assigner {
 public:
  Assigner(ConfigSpace& config, u8 first_bus, u8 last_bus, std::span<const PciWindow> windows)
      : config_(config),
        low_(largest(windows, PciWindow::Space::kMemory32)),
        high_(largest(windows, PciWindow::Space::kMemory64)),
        next_bus_(first_bus),
        last_bus_(last_bus) {}

  Assignment run(u8 root) {
    each(root, [&](Place p, bool bridge) {
      if (bridge && config_.read(p, kSecondary, 1) != 0) result_.by_firmware = true;
      for (u32 i = 0; i < bar_count(bridge); i++)
        if ((bar(p, i) & 1) == 0 && (bar(p, i) & ~u32{0xf}) != 0) result_.by_firmware = true;
    });
    if (!result_.by_firmware) scan(root, 0, true);
    return result_;
  }

 private:
  static u32 bar_count(bool bridge) { return bridge ? 2 : 6; }
  u32 bar(Place p, u32 index) { return config_.read(p, bar_offset(index), 4); }
  static u16 bar_offset(u32 index) { return static_cast<u16>(kBar0 + 4 * index); }

  // Calls `fn` for every function of a bus that has BARs.
  template <class Fn>
  void each(u8 bus, Fn&& fn) {
    for (u8 device = 0; device < 32; device++) {
      u8 count = 1;
      for (u8 function = 0; function < count; function++) {
        Place p{bus, device, function};
        if (config_.read(p, kVendor, 2) == 0xffff) continue;
        u32 header = config_.read(p, kHeaderType, 1);
        if (function == 0 && (header & 0x80) != 0) count = 8;
        bool bridge = config_.read(p, kClass, 2) == kBridgeClass && (header & 0x7f) == 1;
        if (bridge || (header & 0x7f) == 0) fn(p, bridge);
      }
    }
  }

  // Places a bus and all behind it. `wide` is true if every bridge above has a window for 64-bit
  // addresses. The BARs of a bus come before those behind its bridges, so that small ones lie
  // together.
  void scan(u8 bus, u32 depth, bool wide) {
    each(bus, [&](Place p, bool bridge) { place_bars(p, bridge, depth == 0, wide); });
    each(bus, [&](Place p, bool bridge) {
      if (bridge) enter(p, depth, wide);
    });
  }

  void place_bars(Place p, bool bridge, bool root, bool wide) {
    u32 command = config_.read(p, kCommand, 2);
    config_.write(p, kCommand, 2, command & ~kDecode);
    for (u32 i = 0; i < bar_count(bridge);) i += place_bar(p, i, bar_count(bridge), root, wide);
    config_.write(p, kCommand, 2, command & ~kDecode);
  }

  u32 mask_of(Place p, u32 index) {
    config_.write(p, bar_offset(index), 4, ~u32{0});
    u32 mask = bar(p, index);
    config_.write(p, bar_offset(index), 4, 0);
    return mask;
  }

  // Returns how many slots the BAR takes.
  u32 place_bar(Place p, u32 index, u32 count, bool root, bool wide) {
    u32 mask = mask_of(p, index);
    if (mask == 0 || mask == ~u32{0} || (mask & 1) != 0) return 1;
    bool is_64_bit = (mask & 6) == 4 && index + 1 < count;
    bool prefetchable = (mask & 8) != 0;
    u64 upper = is_64_bit ? mask_of(p, index + 1) : ~u32{0};
    u64 bytes = ~(upper << 32 | (mask & ~u32{0xf})) + 1;
    // Behind a bridge only the window for prefetchable memory reaches beyond 4 GiB.
    bool may_be_high = is_64_bit && wide && (root || prefetchable);
    Result<u64> address = fail(Errc::kCorrupt, "a BAR whose size is no power of two");
    if (base::is_power_of_two(bytes)) {
      address = may_be_high && prefetchable ? high_.take(bytes) : low_.take(bytes);
      if (!address.has_value()) address = low_.take(bytes);
      if (!address.has_value() && may_be_high) address = high_.take(bytes);
    }
    if (!address.has_value()) {
      result_.without_room++;
    } else {
      config_.write(p, bar_offset(index), 4, static_cast<u32>(*address));
      if (is_64_bit) config_.write(p, bar_offset(index + 1), 4, static_cast<u32>(*address >> 32));
      result_.bars++;
    }
    return is_64_bit ? 2 : 1;
  }

  void enter(Place p, u32 depth, bool wide) {
    if (next_bus_ == last_bus_ || depth == kMostDepth) {
      result_.without_room++;
      return;
    }
    u8 below = ++next_bus_;
    config_.write(p, kPrimary, 1, p.bus);
    config_.write(p, kSecondary, 1, below);
    config_.write(p, kSubordinate, 1, last_bus_);
    constexpr u32 kIs64Bit = 1;
    config_.write(p, kPrefetchBase, 2, 0xfff0);
    bool prefetches = config_.read(p, kPrefetchBase, 2) != 0;
    bool wide_below = wide && prefetches && (config_.read(p, kPrefetchBase, 2) & 0xf) == kIs64Bit;
    low_.align();
    high_.align();
    u64 low = low_.next, high = high_.next;
    scan(below, depth + 1, wide_below);
    low_.align();
    high_.align();
    config_.write(p, kSubordinate, 1, next_bus_);
    open(p, kMemoryBase, kMemoryLimit, low, low_.next);
    open(p, kPrefetchBase, kPrefetchLimit, high, high_.next);
    bool empty = high == high_.next;
    config_.write(p, kPrefetchBaseUpper, 4, empty ? 0 : static_cast<u32>(high >> 32));
    config_.write(p, kPrefetchLimitUpper, 4, empty ? 0 : static_cast<u32>((high_.next - 1) >> 32));
    config_.write(p, kPortBase, 2, 0x00f0);  // a base above its limit: closed
    config_.write(p, kCommand, 2, config_.read(p, kCommand, 2) | kMemory | kBusMaster);
    result_.bridges++;
  }

  // Sixteen bits hold an address in units of 1 MiB, from bit 4 on. An empty window is one whose
  // base lies above its limit.
  void open(Place p, u16 base, u16 limit, u64 begin, u64 end) {
    bool empty = begin == end;
    config_.write(p, base, 2, empty ? 0xfff0 : static_cast<u32>(begin >> 16 & 0xfff0));
    config_.write(p, limit, 2, empty ? 0 : static_cast<u32>((end - 1) >> 16 & 0xfff0));
  }

  ConfigSpace& config_;
  Space low_, high_;
  u8 next_bus_, last_bus_;
  Assignment result_;
};

}  // namespace

Assignment assign(ConfigSpace& config, u8 first_bus, u8 last_bus,
                  std::span<const PciWindow> windows) {
  return Assigner(config, first_bus, last_bus, windows).run(first_bus);
}

u64 cpu_address(std::span<const PciWindow> windows, bool port, u64 bus_address) {
  for (const PciWindow& w : windows)
    if ((w.space == PciWindow::Space::kPorts) == port && bus_address >= w.bus_address &&
        bus_address - w.bus_address < w.bytes)
      return w.address + (bus_address - w.bus_address);
  return bus_address;
}

}  // namespace pci
