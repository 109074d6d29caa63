// SPDX-License-Identifier: GPL-2.0-or-later
// Tests device trees: those of QEMU's `virt` (tests/fuzz/corpus/fdt, without the nodes of old
// devices), trees built here, and trees that are refused.
#include <vector>

#include "boot/device_tree.h"
#include "boot/fdt.h"
#include "kernel/base/bytes.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_files.h"

namespace {

using boot::Hardware;
using boot::fdt::Bytes;

std::span<const Byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

// Builds a tree as a compiler of device trees writes it.
class Builder {
 public:
  Builder& begin(std::string_view name) { return cell(1).text(name).pad(structure_); }
  Builder& end() { return cell(2); }
  Builder& cells(std::string_view name, std::initializer_list<u32> values) {
    cell(3).cell(static_cast<u32>(4 * values.size())).cell(name_at(name));
    for (u32 value : values) cell(value);
    return *this;
  }
  Builder& string(std::string_view name, std::string_view value) {
    cell(3).cell(static_cast<u32>(value.size() + 1)).cell(name_at(name));
    return text(value).pad(structure_);
  }
  Builder& keep(u64 base, u64 bytes) {
    for (u64 v : {base, bytes}) put(reserved_, v >> 32), put(reserved_, v);
    return *this;
  }
  std::string blob() {
    std::string out, body = structure_;
    put(body, 9);
    std::string kept = reserved_ + std::string(16, '\0');
    u32 structure = static_cast<u32>(40 + kept.size());
    u32 strings = static_cast<u32>(structure + body.size());
    u32 total = static_cast<u32>(strings + strings_.size());
    for (u32 word : {0xd00dfeedu, total, structure, strings, 40u, 17u, 16u, 0u,
                     static_cast<u32>(strings_.size()), static_cast<u32>(body.size())})
      put(out, word);
    return out + kept + body + strings_;
  }

 private:
  static void put(std::string& to, u64 value) {
    for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<char>(value >> shift));
  }
  static void pad_to(std::string& text) {
    while (text.size() % 4 != 0) text.push_back('\0');
  }
  Builder& pad(std::string& text) {
    pad_to(text);
    return *this;
  }
  Builder& cell(u32 value) {
    put(structure_, value);
    return *this;
  }
  Builder& text(std::string_view value) {
    structure_.append(value).push_back('\0');
    return *this;
  }
  u32 name_at(std::string_view name) {
    auto at = static_cast<u32>(strings_.size());
    strings_.append(name).push_back('\0');
    return at;
  }
  std::string structure_, strings_, reserved_;
};

Builder a_root() {
  Builder b;
  b.begin("").cells("#address-cells", {2}).cells("#size-cells", {2}).cells("interrupt-parent", {1});
  b.begin("gic@1000").string("compatible", "arm,gic-400").cells("#interrupt-cells", {3});
  b.cells("reg", {0, 0x1000, 0, 0x1000, 0, 0x2000, 0, 0x1000}).cells("phandle", {1}).end();
  return b;
}

std::string qemu_tree(TestContext& test, const char* name) {
  std::string bytes;
  if (!read_file(std::string("tests/fuzz/corpus/fdt/") + name, bytes))
    test.report(__FILE__, __LINE__, name);
  return bytes;
}

}  // namespace

TEST(boot_fdt, reads_qemu_with_a_gic_of_version_2) {
  std::string blob = qemu_tree(test, "virt2");
  static Hardware h;
  h = {};
  REQUIRE(boot::parse_device_tree(bytes_of(blob), h).has_value());
  EXPECT_EQ(h.skipped, 0u);
  EXPECT_EQ(h.gic.version, 2);
  EXPECT_EQ(h.gic.distributor, 0x08000000u);
  EXPECT_EQ(h.gic.cpu_interface, 0x08010000u);
  REQUIRE(h.gic.frames.size() == 1);
  EXPECT_EQ(h.gic.frames[0].base, 0x08020000u);
  REQUIRE(h.cpus.size() == 2);
  EXPECT_EQ(h.cpus[1], 1u);
  EXPECT(h.conduit == boot::Conduit::kHvc);
  EXPECT_EQ(h.virtual_timer.line, 27u);
  EXPECT_EQ(h.physical_timer.line, 30u);
  REQUIRE(h.pci_hosts.size() == 1);
  const boot::PciHost& host = h.pci_hosts[0];
  EXPECT_EQ(host.ecam, 0x40'1000'0000u);
  EXPECT_EQ(host.last_bus, 255);
  EXPECT(host.coherent);
  REQUIRE(host.windows.size() == 3);
  EXPECT(host.windows[0].space == boot::PciWindow::Space::kPorts);
  EXPECT_EQ(host.windows[0].address, 0x3eff0000u);
  EXPECT_EQ(host.windows[1].bus_address, 0x10000000u);
  EXPECT_EQ(host.windows[1].bytes, 0x2eff0000u);
  EXPECT_EQ(host.windows[2].address, 0x80'0000'0000u);
  REQUIRE(host.requesters.size() == 1);
  EXPECT_EQ(host.requesters[0].unit, h.gic.frames[0].id);
  REQUIRE(host.pins.size() == 16);
  EXPECT_EQ(host.pin_mask, 0x18u);  // devices 0 to 3 on the root bus
  EXPECT_EQ(host.pins[4].device_function, 8u);
  EXPECT_EQ(host.pins[4].to.line, 36u);
  EXPECT(host.pins[4].to.level && !host.pins[4].to.active_low);
}

TEST(boot_fdt, reads_qemu_with_a_gic_of_version_3) {
  std::string blob = qemu_tree(test, "virt3l");
  static Hardware h;
  h = {};
  REQUIRE(boot::parse_device_tree(bytes_of(blob), h).has_value());
  EXPECT_EQ(h.skipped, 0u);
  EXPECT_EQ(h.gic.version, 3);
  REQUIRE(h.gic.redistributors.size() == 1);
  EXPECT_EQ(h.gic.redistributors[0].base, 0x080a0000u);
  EXPECT_EQ(h.gic.redistributors[0].bytes, 0xf60000u);
  REQUIRE(h.gic.its.size() == 1);
  EXPECT_EQ(h.gic.its[0].base, 0x08080000u);
  EXPECT(h.conduit == boot::Conduit::kSmc);  // this tree was made with EL2 ...
  REQUIRE(h.pci_hosts.size() == 1);
  EXPECT_EQ(h.pci_hosts[0].ecam, 0x3f000000u);  // ... and without high memory
  EXPECT_EQ(h.pci_hosts[0].last_bus, 15);
  EXPECT_EQ(h.pci_hosts[0].windows.size(), 2u);
  EXPECT_EQ(h.pci_hosts[0].requesters[0].unit, h.gic.its[0].id);
  BootInfo info;
  REQUIRE(boot::parse_device_tree(bytes_of(blob), info).has_value());
  REQUIRE(info.memory.size() == 1);
  EXPECT_EQ(info.memory[0].base, 0x40000000u);
  EXPECT_EQ(info.memory[0].size, 2 * kGiB);
  EXPECT(info.console.kind == BootConsole::Kind::kPl011);
  EXPECT_EQ(info.console.base, 0x09000000u);
  EXPECT_EQ(info.random_seed.size(), 32u);
}

// Private lines 10, 11 and 14 of a GIC are its interrupts 26, 27 and 30.
TEST(boot_fdt, a_timer_may_name_its_lines_in_any_order) {
  using namespace std::string_view_literals;
  struct Row {
    std::string_view names;
    u32 virtual_line, physical_line, skipped;
  };
  constexpr Row kRows[] = {{"hyp-phys\0virt\0phys"sv, 27, 30, 0},
                           {"virt\0hyp-phys\0phys"sv, 26, 30, 0},
                           {"hyp-phys\0virt\0hyp-virt"sv, 27, 0, 0},
                           {"hyp-phys\0phys\0sec-phys"sv, 0, 0, 1}};
  for (const Row& row : kRows) {
    Builder b = a_root();
    b.begin("timer").string("compatible", "arm,armv8-timer").string("interrupt-names", row.names);
    b.cells("interrupts", {1, 10, 4, 1, 11, 4, 1, 14, 4}).end().end();
    static Hardware h;
    h = {};
    REQUIRE(boot::parse_device_tree(bytes_of(b.blob()), h).has_value());
    EXPECT_EQ(h.virtual_timer.line, row.virtual_line);
    EXPECT_EQ(h.physical_timer.line, row.physical_line);
    EXPECT_EQ(h.skipped, row.skipped);
  }
}

TEST(boot_fdt, reads_the_loaders_words) {
  Builder b = a_root();
  b.keep(0x48000000, 0x10000);
  b.begin("chosen").string("bootargs", "threads=2 talk").string("stdout-path", "serial0:115200n8");
  b.cells("linux,initrd-start", {0x44000000}).cells("linux,initrd-end", {0, 0x44123000}).end();
  b.begin("aliases").string("serial0", "/soc/serial@3000").end();
  b.begin("memory@40000000").string("device_type", "memory");
  b.cells("reg", {0, 0x40000000, 0, 0x10000000, 8, 0, 1, 0}).end();
  b.begin("reserved-memory").cells("#address-cells", {2}).cells("#size-cells", {2});
  b.cells("ranges", {}).begin("firmware@41000000").cells("reg", {0, 0x41000000, 0, 0x1000}).end();
  b.end();
  b.begin("soc").cells("#address-cells", {1}).cells("#size-cells", {1});
  b.cells("ranges", {0, 0, 0xfe000000, 0x10000});
  b.begin("serial@3000").string("compatible", "ns16550a").cells("reg", {0x3000, 0x100});
  b.cells("reg-shift", {2}).cells("reg-io-width", {4}).end().end().end();
  std::string blob = b.blob();
  BootInfo info;
  REQUIRE(boot::parse_device_tree(bytes_of(blob), info).has_value());
  EXPECT_EQ(info.command_line, "threads=2 talk");
  REQUIRE(info.modules.size() == 1);
  EXPECT_EQ(info.modules[0].base, 0x44000000u);
  EXPECT_EQ(info.modules[0].size, 0x123000u);
  REQUIRE(info.memory.size() == 4);
  EXPECT_EQ(info.memory[1].base, 8ull << 32);
  EXPECT_EQ(info.memory[1].size, 1ull << 32);
  EXPECT(info.memory[2].kind == MemoryKind::kReserved && info.memory[2].base == 0x41000000u);
  EXPECT(info.memory[3].kind == MemoryKind::kReserved && info.memory[3].base == 0x48000000u);
  EXPECT(info.console.kind == BootConsole::Kind::kUart16550);
  EXPECT_EQ(info.console.base, 0xfe003000u);
  EXPECT_EQ(info.console.stride, 4u);
  EXPECT_EQ(info.console.width, 4u);
}

// The Raspberry Pi's node tells neither shift nor width.
TEST(boot_fdt, registers_of_a_console_lie_as_its_kind_says) {
  struct Row {
    std::string_view compatible;
    BootConsole::Kind kind;
    u32 stride, width;
  };
  constexpr Row kRows[] = {{"ns16550", BootConsole::Kind::kUart16550, 1, 1},
                           {"brcm,bcm2835-aux-uart", BootConsole::Kind::kUart16550, 4, 4},
                           {"somebody's-uart", BootConsole::Kind::kNone, 1, 1}};
  for (const Row& row : kRows) {
    Builder b = a_root();
    b.begin("chosen").string("stdout-path", "/serial@3000").end();
    b.begin("serial@3000").string("compatible", row.compatible).cells("reg", {0, 0x3000, 0, 0x100});
    b.end().end();
    BootInfo info;
    REQUIRE(boot::parse_device_tree(bytes_of(b.blob()), info).has_value());
    EXPECT(info.console.kind == row.kind);
    EXPECT_EQ(info.console.stride, row.stride);
    EXPECT_EQ(info.console.width, row.width);
  }
}

TEST(boot_fdt, leaves_out_what_is_off_or_out_of_reach) {
  Builder b = a_root();
  b.begin("off").string("status", "disabled").begin("cpu@7").string("device_type", "cpu");
  b.cells("reg", {7}).end().end();
  b.begin("pcie@5").string("compatible", "pci-host-ecam-generic");
  b.cells("reg", {0, 0x500000, 0, 0x10000}).end();                        // no room for a bus
  b.begin("bus").cells("#address-cells", {1}).cells("#size-cells", {1});  // without ranges
  b.begin("its@0").string("compatible", "arm,gic-v3-its").cells("reg", {0, 0x20000}).end().end();
  b.end();
  std::string blob = b.blob();
  static Hardware h;
  h = {};
  REQUIRE(boot::parse_device_tree(bytes_of(blob), h).has_value());
  EXPECT(h.cpus.empty());
  EXPECT(h.pci_hosts.empty());
  EXPECT(h.gic.its.empty());
  EXPECT_EQ(h.skipped, 2u);
  EXPECT_EQ(h.gic.version, 2);
}

TEST(boot_fdt, refuses_every_truncation) {
  std::string whole = qemu_tree(test, "virt3");
  static Hardware h;
  for (usize length = 0; length < whole.size(); length++) {
    std::vector<Byte> less(whole.begin(), whole.begin() + static_cast<long>(length));
    BootInfo info;
    EXPECT(!boot::parse_device_tree(Bytes(less), info).has_value());
    if (length < boot::fdt::kHeaderBytes) continue;
    // The tree is refused, too, when its header has the shorter length.
    base::store(less.data() + 4, base::swap_be(static_cast<u32>(length)));
    EXPECT(!boot::parse_device_tree(Bytes(less), h).has_value());
  }
}

TEST(boot_fdt, refuses_broken_trees) {
  struct Case {
    const char* what;
    void (*fill)(Builder& b);
  };
  constexpr Case kCases[] = {
      {"a node that does not end", [](Builder& b) { b.begin(""); }},
      {"an end too many", [](Builder& b) { b.begin("").end().end(); }},
      {"two roots", [](Builder& b) { b.begin("").end().begin("").end(); }},
      {"no root", [](Builder&) {}},
      {"a property outside", [](Builder& b) { b.cells("a", {1}).begin("").end(); }},
      {"too deep",
       [](Builder& b) {
         for (usize i = 0; i <= boot::fdt::kMostDepth; i++) b.begin("");
         for (usize i = 0; i <= boot::fdt::kMostDepth; i++) b.end();
       }},
      {"a ramdisk that ends first",
       [](Builder& b) {
         b.begin("").begin("chosen").cells("linux,initrd-start", {2});
         b.cells("linux,initrd-end", {1}).end().end();
       }},
  };
  for (const Case& c : kCases) {
    Builder b;
    c.fill(b);
    std::string blob = b.blob();
    BootInfo info;
    if (boot::parse_device_tree(bytes_of(blob), info).has_value())
      test.report(__FILE__, __LINE__, c.what);
  }
}
