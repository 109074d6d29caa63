// SPDX-License-Identifier: GPL-2.0-or-later
// Reads nodes by a table with a row for each kind.
#include "boot/device_tree.h"

#include "boot/fdt.h"

namespace boot {
namespace {

using fdt::Node;
using fdt::Path;
using fdt::Property;
using fdt::Tree;

const Node& last(const Path& path) {
  return path[path.size() - 1];
}

// ---- what the loader told ------------------------------------------------------------------

Result<void> add_memory(const Tree& tree, const Path& path, MemoryKind kind, BootInfo& out) {
  for (usize i = 0;; i++) {
    auto range = tree.reg(path.view(), i);
    if (!range.has_value()) return {};
    if (range->bytes == 0) continue;
    if (!out.memory.push_back({range->base, range->bytes, kind}))
      return fail(Errc::kFull, "too many memory ranges");
  }
}

Result<void> read_chosen(const Tree& tree, const Node& chosen, BootInfo& out) {
  out.command_line = tree.property(chosen, "bootargs").text();
  out.random_seed = tree.property(chosen, "rng-seed").value;
  Property begin = tree.property(chosen, "linux,initrd-start"),
           end = tree.property(chosen, "linux,initrd-end");
  if (!begin.found || !end.found) return {};
  // Loaders write one cell or two, whatever the root's #address-cells is.
  u64 first = begin.number(0, begin.cells() > 1 ? 2 : 1),
      behind = end.number(0, end.cells() > 1 ? 2 : 1);
  if (behind < first) return fail(Errc::kCorrupt, "an initial ramdisk ends before it begins");
  if (behind == first) return {};
  if (!out.modules.push_back({first, behind - first, "initrd"}))
    return fail(Errc::kFull, "too many boot modules");
  return {};
}

struct ConsoleKind {
  std::string_view compatible;
  BootConsole::Kind kind;
  u32 shift = 0, width = 1;  // where the node does not tell them
};
constexpr ConsoleKind kConsoles[] = {
    {"arm,pl011", BootConsole::Kind::kPl011},
    {"arm,sbsa-uart", BootConsole::Kind::kPl011},
    {"ns16550a", BootConsole::Kind::kUart16550},
    {"ns16550", BootConsole::Kind::kUart16550},
    {"snps,dw-apb-uart", BootConsole::Kind::kUart16550},
    {"brcm,bcm2835-aux-uart", BootConsole::Kind::kUart16550, 2, 4},
};

// Returns the console of stdout-path, or none if it cannot be used: the machine starts without it.
BootConsole find_console(const Tree& tree, const Node& chosen) {
  Property where = tree.property(chosen, "stdout-path");
  auto path = tree.at_path(where.text());
  if (!where.found || !path.has_value()) return {};
  auto registers = tree.reg(path->view(), 0);
  if (!registers.has_value()) return {};
  const Node& node = last(*path);
  for (const ConsoleKind& row : kConsoles) {
    if (!tree.is_compatible(node, row.compatible)) continue;
    u32 shift = tree.cell(node, "reg-shift", row.shift),
        width = tree.cell(node, "reg-io-width", row.width);
    if (shift > 3 || (width != 1 && width != 4)) return {};
    return {.kind = row.kind,
            .base = registers->base,
            .stride = 1u << shift,
            .width = width,
            .line = tree.interrupt(path->view(), 0).value_or(LineTrigger{}).line};
  }
  return {};
}

// ---- the machine's parts -------------------------------------------------------------------

struct Place {
  const Tree& tree;
  const Path& path;

  const Node& node() const { return last(path); }
  Property property(std::string_view name) const { return tree.property(node(), name); }
  Result<AddressRange> reg(usize index) const { return tree.reg(path.view(), index); }
};

Result<void> read_psci(const Place& place, Hardware& out) {
  std::string_view method = place.property("method").text();
  if (method == "hvc") out.conduit = Conduit::kHvc;
  if (method == "smc") out.conduit = Conduit::kSmc;
  return {};
}

Result<void> read_cpu(const Place& place, Hardware& out) {
  Property reg = place.property("reg");
  if (reg.cells() == 0 || reg.cells() > 2) return fail(Errc::kCorrupt, "a CPU without a number");
  u64 number = reg.number(0, static_cast<u32>(reg.cells()));
  if (!out.cpus.push_back(number)) return fail(Errc::kFull, "more CPUs than rows");
  return {};
}

Result<void> read_gic_v2(const Place& place, Hardware& out) {
  AddressRange distributor = TRY(place.reg(0)), cpu = TRY(place.reg(1));
  if (out.gic.version != 0) return fail(Errc::kUnsupported, "a second GIC");
  out.gic.version = 2;
  out.gic.distributor = distributor.base;
  out.gic.cpu_interface = cpu.base;
  return {};
}

Result<void> read_gic_v3(const Place& place, Hardware& out) {
  AddressRange distributor = TRY(place.reg(0));
  if (out.gic.version != 0) return fail(Errc::kUnsupported, "a second GIC");
  u32 regions = place.tree.cell(place.node(), "#redistributor-regions", 1);
  for (u32 i = 0; i < regions; i++)
    if (!out.gic.redistributors.push_back(TRY(place.reg(1 + i))))
      return fail(Errc::kFull, "more redistributor regions than rows");
  Property stride = place.property("redistributor-stride");
  out.gic.redistributor_stride = stride.number(0, static_cast<u32>(stride.cells()));
  out.gic.version = 3;
  out.gic.distributor = distributor.base;
  return {};
}

Result<void> read_its(const Place& place, Hardware& out) {
  MessageUnit unit{.base = TRY(place.reg(0)).base,
                   .id = place.tree.cell(place.node(), "phandle", 0)};
  if (!out.gic.its.push_back(unit)) return fail(Errc::kFull, "more ITSs than rows");
  return {};
}

Result<void> read_frame(const Place& place, Hardware& out) {
  MessageUnit unit{.base = TRY(place.reg(0)).base,
                   .id = place.tree.cell(place.node(), "phandle", 0),
                   .first_line = place.tree.cell(place.node(), "arm,msi-base-spi", 0),
                   .lines = place.tree.cell(place.node(), "arm,msi-num-spis", 0)};
  if (!out.gic.frames.push_back(unit)) return fail(Errc::kFull, "more message frames than rows");
  return {};
}

// Reads the timer's interrupts where `interrupt-names` has them, otherwise in the binding's order:
// secure, non-secure, virtual, hypervisor. Names may leave out any but the virtual one.
Result<void> read_timer(const Place& place, Hardware& out) {
  constexpr usize kPhysical = 1, kVirtual = 2;
  Property names = place.property("interrupt-names");
  usize at_virtual = names.found ? names.index_of("virt") : kVirtual,
        at_physical = names.found ? names.index_of("phys") : kPhysical;
  if (at_virtual == Property::kAbsent) return fail(Errc::kUnsupported, "no virtual timer");
  out.virtual_timer = TRY(place.tree.interrupt(place.path.view(), at_virtual));
  if (at_physical == Property::kAbsent) return {};
  out.physical_timer = TRY(place.tree.interrupt(place.path.view(), at_physical));
  return {};
}

// ---- PCI hosts (IEEE 1275 PCI bus binding; pci-host-ecam-generic; msi-map) -------------------

constexpr u32 kPciCells = 3;  // for an address: flags and numbers, then 64 bits

Result<void> read_windows(const Place& place, PciHost& host) {
  Property ranges = place.property("ranges");
  const Node& parent = place.path[place.path.size() - 2];
  u32 outer = place.tree.cell(parent, "#address-cells", 2);
  constexpr u32 kSizeCells = 2;
  u32 row = kPciCells + outer + kSizeCells;
  if (outer > 2) return fail(Errc::kUnsupported, "a PCI host behind a bus of wide addresses");
  for (usize at = 0; at + row <= ranges.cells(); at += row) {
    u32 flags = ranges.cell(at), space = flags >> 24 & 3;
    if (space == 0) continue;  // configuration space
    PciWindow window{.space = static_cast<PciWindow::Space>(space - 1),
                     .prefetchable = (flags >> 30 & 1) != 0,
                     .bus_address = ranges.number(at + 1, 2),
                     .address = ranges.number(at + kPciCells, outer),
                     .bytes = ranges.number(at + kPciCells + outer, kSizeCells)};
    auto bus = place.path.view().first(place.path.size() - 1);
    window.address = TRY(place.tree.to_cpu(bus, window.address));
    if (window.bytes > ~window.address || window.bytes > ~window.bus_address)
      return fail(Errc::kCorrupt, "a PCI window wraps");
    if (!host.windows.push_back(window)) return fail(Errc::kFull, "more PCI windows than rows");
  }
  return {};
}

Result<void> read_requesters(const Place& place, PciHost& host) {
  constexpr u32 kAll = 0x10000, kRow = 4;
  host.requester_mask = place.tree.cell(place.node(), "msi-map-mask", 0xffff);
  Property map = place.property("msi-map"), unit = place.property("msi-parent");
  if (!map.found && unit.cells() > 0 &&
      !host.requesters.push_back({.first = 0, .count = kAll, .unit = unit.cell(0), .output = 0}))
    return fail(Errc::kFull, "more requester rows than room");
  for (usize at = 0; at + kRow <= map.cells(); at += kRow) {
    RequesterRow row{.first = map.cell(at),
                     .count = map.cell(at + 3),
                     .unit = map.cell(at + 1),
                     .output = map.cell(at + 2)};
    if (!host.requesters.push_back(row)) return fail(Errc::kFull, "more requester rows than room");
  }
  return {};
}

// Reads the routes of interrupt pins. Each row names its controller, which says how wide the row
// is.
Result<void> read_pins(const Place& place, PciHost& host) {
  Property map = place.property("interrupt-map"), mask = place.property("interrupt-map-mask");
  host.pin_mask = mask.cells() > 0 ? mask.cell(0) >> 8 & 0xff : 0xff;
  u32 known = 0, address = 0, cells = 0;  // the previous row's controller
  for (usize at = 0; at + kPciCells + 2 <= map.cells();) {
    u32 controller = map.cell(at + kPciCells + 1);
    if (cells == 0 || controller != known) {
      Path path = TRY(place.tree.with_phandle(controller));
      address = place.tree.cell(last(path), "#address-cells", 0);
      cells = place.tree.cell(last(path), "#interrupt-cells", 0);
      known = controller;
    }
    usize line = at + kPciCells + 2 + address;
    if (address > 2 || cells < 3 || cells > 4 || line + cells > map.cells())
      return fail(Errc::kUnsupported, "an interrupt map that leads to no GIC");
    PinRoute route{.device_function = map.cell(at) >> 8 & 0xff,
                   .pin = map.cell(at + kPciCells),
                   .to = TRY(fdt::gic_line(map, line))};
    if (!host.pins.push_back(route)) return fail(Errc::kFull, "more interrupt pins than rows");
    at = line + cells;
  }
  return {};
}

bool is_coherent(const Place& place) {
  for (const Node& node : place.path)
    if (place.tree.property(node, "dma-coherent").found) return true;
  return false;
}

Result<void> read_pci_host(const Place& place, Hardware& out) {
  AddressRange ecam = TRY(place.reg(0));
  u32 most = static_cast<u32>(std::min<u64>(ecam.bytes / kMiB, 256));
  if (most == 0) return fail(Errc::kCorrupt, "a PCI host without room for a bus");
  if (out.pci_hosts.full()) return fail(Errc::kFull, "more PCI hosts than rows");
  Property buses = place.property("bus-range");
  u32 first = buses.cell(0), end = buses.cells() > 1 ? buses.cell(1) : first + most - 1;
  if (first > 255 || end < first) return fail(Errc::kCorrupt, "a PCI host without buses");
  static constinit PciHost host;  // too large for an early stack
  host = {};
  host.ecam = ecam.base;
  host.segment = static_cast<u16>(
      place.tree.cell(place.node(), "linux,pci-domain", static_cast<u32>(out.pci_hosts.size())));
  host.first_bus = static_cast<u8>(first);
  host.last_bus = static_cast<u8>(std::min({end, first + most - 1, 255u}));
  host.coherent = is_coherent(place);
  // A host stays listed even if one of these fails, because part of its devices may still work.
  for (auto part : {read_windows, read_requesters, read_pins})
    if (!part(place, host).has_value()) out.skipped++;
  ASSERT(out.pci_hosts.push_back(host));
  return {};
}

struct NodeKind {
  std::string_view property, value;
  Result<void> (*read)(const Place& place, Hardware& out);
};
constexpr NodeKind kKinds[] = {
    {"device_type", "cpu", read_cpu},
    {"compatible", "arm,psci", read_psci},
    {"compatible", "arm,psci-0.2", read_psci},
    {"compatible", "arm,psci-1.0", read_psci},
    {"compatible", "arm,gic-400", read_gic_v2},
    {"compatible", "arm,cortex-a15-gic", read_gic_v2},
    {"compatible", "arm,cortex-a7-gic", read_gic_v2},
    {"compatible", "arm,gic-v3", read_gic_v3},
    {"compatible", "arm,gic-v3-its", read_its},
    {"compatible", "arm,gic-v2m-frame", read_frame},
    {"compatible", "arm,armv8-timer", read_timer},
    {"compatible", "pci-host-ecam-generic", read_pci_host},
};

void read_node(const Place& place, Hardware& out) {
  for (const NodeKind& kind : kKinds) {
    if (!place.property(kind.property).has(kind.value)) continue;
    if (!kind.read(place, out).has_value()) out.skipped++;
    return;
  }
}

}  // namespace

Result<void> parse_device_tree(std::span<const Byte> blob, BootInfo& out) {
  Tree tree = TRY(Tree::open(blob));
  if (auto chosen = tree.at_path("/chosen"); chosen.has_value()) {
    TRY(read_chosen(tree, last(*chosen), out));
    out.console = find_console(tree, last(*chosen));
  }
  for (fdt::Walk walk(tree); walk.next();) {
    const Path& path = walk.path();
    bool keeps = path.size() == 3 && path[1].name == "reserved-memory";
    bool memory = path.size() == 2 && tree.property(walk.node(), "device_type").text() == "memory";
    if ((keeps || memory) && tree.is_enabled(walk.node()))
      TRY(add_memory(tree, path, keeps ? MemoryKind::kReserved : MemoryKind::kUsable, out));
  }
  AddressRange kept;
  for (usize i = 0; tree.reserved(i, kept); i++) {
    if (kept.bytes > ~kept.base) return fail(Errc::kCorrupt, "reserved memory wraps");
    if (!out.memory.push_back({kept.base, kept.bytes, MemoryKind::kReserved}))
      return fail(Errc::kFull, "too many memory ranges");
  }
  return {};
}

Result<void> parse_device_tree(std::span<const Byte> blob, Hardware& out) {
  Tree tree = TRY(Tree::open(blob));
  usize disabled = fdt::kMostDepth + 1;  // the depth of a node that is off, with all below it
  for (fdt::Walk walk(tree); walk.next();) {
    usize depth = walk.path().size();
    if (depth > disabled) continue;
    disabled = tree.is_enabled(walk.node()) ? fdt::kMostDepth + 1 : depth;
    if (depth < disabled) read_node({tree, walk.path()}, out);
  }
  return {};
}

}  // namespace boot
