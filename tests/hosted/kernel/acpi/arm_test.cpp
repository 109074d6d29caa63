// SPDX-License-Identifier: GPL-2.0-or-later
// Tests the tables of ARM machines: GIC, timers, console, PSCI, and the message units of PCI hosts.
#include "kernel/acpi/tables.h"
#include "kernel/base/test.h"
#include "tests/hosted/kernel/acpi/firmware.h"

namespace {

constexpr u64 kBase = Firmware::kBase, kXsdt = kBase + 0x100, kMadt = kBase + 0x200,
              kMcfg = kBase + 0x500, kFadt = kBase + 0x600, kGtdt = kBase + 0x800,
              kSpcr = kBase + 0x900, kIort = kBase + 0xa00;

// Appends MADT entries.
struct Madt {
  Firmware& f;
  u64 at = kMadt + 44;

  u64 add(u8 kind, u8 bytes) {
    f.put(at, kind);
    f.put(at + 1, bytes);
    at += bytes;
    return at - bytes;
  }
  void cpu(u64 number, u32 flags, u64 redistributor) {
    u64 e = add(0x0b, 80);
    f.put(e + 12, flags);
    f.put(e + 32, u64{0x8010000});
    f.put(e + 60, redistributor);
    f.put(e + 68, number);
  }
  void close() { f.table(kMadt, "APIC", static_cast<u32>(at - kMadt)); }
};

void put_iort_mapping(Firmware& f, u64 at, u32 first, u32 last_index, u32 output, u32 target) {
  u32 words[] = {first, last_index, output, target, 0};
  for (u32 word : words) f.put(at, word), at += 4;
}
void put_iort_node(Firmware& f, u64 at, u8 kind, u16 length, u32 mappings, u32 mappings_at) {
  f.put(at, kind);
  f.put(at + 1, length);
  f.put(at + 8, mappings);
  f.put(at + 12, mappings_at);
}

// Puts an ITS group, an SMMU that passes 0x1100 to 0x11ff on as 0x2100 to 0x21ff, and a root
// complex whose first bus goes straight to the ITS and whose others go through the SMMU.
void put_iort(Firmware& f) {
  constexpr u32 kGroup = 48, kSmmu = kGroup + 24, kComplex = kSmmu + 88;
  f.put(kIort + 36, u32{3});
  f.put(kIort + 40, kGroup);
  put_iort_node(f, kIort + kGroup, 0, 24, 0, 0);
  f.put(kIort + kGroup + 16, u32{1});
  f.put(kIort + kGroup + 20, u32{5});  // ITS 5
  put_iort_node(f, kIort + kSmmu, 4, 88, 1, 68);
  put_iort_mapping(f, kIort + kSmmu + 68, 0x1100, 0xff, 0x2100, kGroup);
  put_iort_node(f, kIort + kComplex, 2, 76, 2, 36);
  f.put(kIort + kComplex + 16, u32{1});
  f.put(kIort + kComplex + 28, u32{0});
  put_iort_mapping(f, kIort + kComplex + 36, 0, 0xff, 0x40, kGroup);
  put_iort_mapping(f, kIort + kComplex + 56, 0x100, 0xffff, 0x1100, kSmmu);
  f.table(kIort, "IORT", kComplex + 76);
}

Firmware an_arm_machine() {
  Firmware f;
  // The IORT comes before the MCFG, whose hosts it is about.
  f.root(kXsdt, {kIort, kMadt, kMcfg, kFadt, kGtdt, kSpcr});
  put_iort(f);
  Madt madt{f};
  madt.cpu(0, 1, 0x80a0000);
  madt.cpu(0x100, 1, 0x80c0000);
  madt.cpu(0x101, 0, 0);  // not enabled
  u64 d = madt.add(0x0c, 24);
  f.put(d + 8, u64{0x8000000});
  u64 frame = madt.add(0x0d, 24);
  f.put(frame + 4, u32{7});
  f.put(frame + 8, u64{0x8020000});
  f.put(frame + 16, u32{1});
  f.put(frame + 20, u16{64});
  f.put(frame + 22, u16{80});
  u64 its = madt.add(0x0f, 20);
  f.put(its + 4, u32{5});
  f.put(its + 8, u64{0x8080000});
  madt.close();
  f.put(kMcfg + 44, u64{0x4010000000});
  f.put(kMcfg + 54, u8{16});
  f.put(kMcfg + 55, u8{31});
  f.table(kMcfg, "MCFG", 60);
  f.put(kFadt + 112, u32{1 << 20});
  f.put(kFadt + 129, u16{3});
  f.put(kFadt + 140, u64{kXsdt});  // any table with a right sum
  f.table(kFadt, "FACP", 276);
  f.put(kGtdt + 56, u32{30});
  f.put(kGtdt + 64, u32{27});
  f.put(kGtdt + 68, u32{2});
  f.table(kGtdt, "GTDT", 96);
  f.put(kSpcr + 36, u8{3});
  f.put(kSpcr + 41, u8{32});
  f.put(kSpcr + 44, u64{0x9000000});
  f.put(kSpcr + 52, u8{8});
  f.put(kSpcr + 54, u32{33});
  f.table(kSpcr, "SPCR", 80);
  return f;
}

}  // namespace

TEST(acpi_arm, reads_a_machine) {
  Firmware f = an_arm_machine();
  base::BufferView memory = f.view();
  static acpi::Tables t;
  t = {};
  REQUIRE(acpi::parse(memory, kBase, t).has_value());
  EXPECT_EQ(t.bad_tables, 0u);
  const boot::Hardware& h = t.hardware;
  REQUIRE(h.cpus.size() == 2);
  EXPECT_EQ(h.cpus[1], 0x100u);
  EXPECT_EQ(h.gic.version, 3);  // not told, but there are redistributors
  EXPECT_EQ(h.gic.distributor, 0x8000000u);
  REQUIRE(h.gic.redistributors.size() == 1);
  EXPECT_EQ(h.gic.redistributors[0].bytes, 0x40000u);
  REQUIRE(h.gic.frames.size() == 1);
  EXPECT_EQ(h.gic.frames[0].first_line, 80u);
  EXPECT_EQ(h.gic.frames[0].lines, 64u);
  EXPECT(h.conduit == boot::Conduit::kHvc);
  EXPECT_EQ(h.virtual_timer.line, 27u);
  EXPECT(h.virtual_timer.level && h.virtual_timer.active_low);
  EXPECT_EQ(h.physical_timer.line, 30u);
  EXPECT(t.console.kind == BootConsole::Kind::kPl011);
  EXPECT_EQ(t.console.base, 0x9000000u);
  EXPECT_EQ(t.console.line, 33u);
  REQUIRE(h.pci_hosts.size() == 1);
  const boot::PciHost& host = h.pci_hosts[0];
  EXPECT_EQ(host.ecam, 0x4010000000u + 16 * kMiB);
  EXPECT(host.coherent);
  REQUIRE(host.requesters.size() == 2);
  EXPECT_EQ(host.requesters[0].unit, 5u);
  EXPECT_EQ(host.requesters[0].output, 0x40u);
  EXPECT_EQ(host.requesters[0].count, 0x100u);
  EXPECT_EQ(host.requesters[1].first, 0x100u);
  EXPECT_EQ(host.requesters[1].count, 0x100u);  // the SMMU passes no more on
  EXPECT_EQ(host.requesters[1].output, 0x2100u);
}

TEST(acpi_arm, a_host_that_is_not_coherent_is_known) {
  Firmware f = an_arm_machine();
  f.put(kIort + 48 + 24 + 88 + 16, u32{0});
  f.table(kIort, "IORT", 48 + 24 + 88 + 76);
  base::BufferView memory = f.view();
  static acpi::Tables t;
  t = {};
  REQUIRE(acpi::parse(memory, kBase, t).has_value());
  EXPECT(!t.hardware.pci_hosts[0].coherent);
}

TEST(acpi_arm, an_iort_node_without_a_length_ends_it) {
  Firmware f = an_arm_machine();
  f.put(kIort + 48 + 1, u16{0});
  f.table(kIort, "IORT", 48 + 24 + 88 + 76);
  base::BufferView memory = f.view();
  static acpi::Tables t;
  t = {};
  REQUIRE(acpi::parse(memory, kBase, t).has_value());
  EXPECT_EQ(t.bad_tables, 1u);
  EXPECT(t.hardware.pci_hosts[0].requesters.empty());
}
