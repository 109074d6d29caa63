// SPDX-License-Identifier: GPL-2.0-or-later
// ACPI tables built by hand: what is read, what is skipped, what is refused.
#include "kernel/acpi/tables.h"
#include "kernel/base/test.h"
#include "tests/hosted/kernel/acpi/firmware.h"

namespace {

constexpr u64 kBase = Firmware::kBase;
constexpr u64 kRoot = kBase, kXsdt = kBase + 0x100, kMadt = kBase + 0x200, kMcfg = kBase + 0x300,
              kHpet = kBase + 0x400, kFadt = kBase + 0x500, kDsdt = kBase + 0x700;

Firmware a_machine() {
  Firmware f;
  f.root(kXsdt, {kMadt, kMcfg, kHpet, kFadt});

  f.put(kMadt + 36, u32{0xfee00000});
  f.put(kMadt + 44, u64{0x0000'0001'0100'0800});  // CPU 0, enabled (type 0, 8 bytes, id 1, apic 0)
  f.put(kMadt + 52, u64{0x0000'0001'0301'0800});  // apic 3, enabled
  f.put(kMadt + 60, u64{0x0000'0000'0402'0800});  // apic 4, not enabled
  f.put(kMadt + 68, u32{0x0000'0c01});            // I/O APIC
  f.put(kMadt + 72, u32{0xfec00000});
  f.put(kMadt + 76, u32{0});
  f.put(kMadt + 80, u32{0x0900'0a02});  // override of line 9
  f.put(kMadt + 84, u32{9});
  f.put(kMadt + 88, u16{0x000d});  // level, active high
  f.table(kMadt, "APIC", 90);

  f.put(kMcfg + 44, u64{0xb0000000});
  f.put(kMcfg + 55, u8{255});
  f.table(kMcfg, "MCFG", 60);
  f.put(kHpet + 44, u64{0xfed00000});
  f.table(kHpet, "HPET", 56);

  f.put(kFadt + 8, u8{3});
  f.put(kFadt + 40, static_cast<u32>(kDsdt));
  f.put(kFadt + 46, u16{9});
  f.put(kFadt + 56, u32{0x600});
  f.put(kFadt + 64, u32{0x604});
  f.put(kFadt + 76, u32{0x608});
  f.put(kFadt + 88, u8{4});
  f.put(kFadt + 89, u8{2});
  f.put(kFadt + 91, u8{4});
  f.put(kFadt + 112, u32{1 << 10});
  f.put(kFadt + 116, u32{0x0000'0801});  // reset: port, 8 bits
  f.put(kFadt + 120, u64{0xcf9});
  f.put(kFadt + 128, u8{0x0f});
  f.table(kFadt, "FACP", 244);
  // Name (_S5, Package () {5, 0, 0, 0})
  f.put_text(kDsdt + 40, std::string_view("\x08_S5_\x12\x08\x04\x0a\x05\x00\x00\x00", 14));
  f.table(kDsdt, "DSDT", 64);
  return f;
}

}  // namespace

TEST(acpi_tables, reads_a_machine) {
  Firmware f = a_machine();
  base::BufferView memory = f.view();
  EXPECT_EQ(acpi::find_root_pointer(memory).value_or(0), kRoot);
  acpi::Tables t;
  REQUIRE(acpi::parse(memory, kRoot, t).has_value());
  EXPECT_EQ(t.bad_tables, 0u);
  REQUIRE(t.cpus.size() == 2);
  EXPECT_EQ(t.cpus[1], 3u);
  REQUIRE(t.io_apics.size() == 1);
  EXPECT_EQ(t.io_apics[0].address, 0xfec00000u);
  REQUIRE(t.overrides.size() == 1);
  EXPECT(t.overrides[0].level && !t.overrides[0].active_low);
  REQUIRE(t.hardware.pci_hosts.size() == 1);
  EXPECT_EQ(t.hardware.pci_hosts[0].last_bus, 255);
  EXPECT(t.hardware.pci_hosts[0].coherent);
  EXPECT_EQ(t.hpet, 0xfed00000u);
  EXPECT_EQ(t.fixed.pm_timer.address, 0x608u);
  EXPECT_EQ(t.fixed.reset.address, 0xcf9u);
  EXPECT(t.fixed.has_s5);
  EXPECT_EQ(t.fixed.s5_a, 5);
  EXPECT(t.fixed.has_power_button);
  EXPECT_EQ(t.fixed.sci_line, 9);
  EXPECT_EQ(t.fixed.pm1a_event.address, 0x600u);
  EXPECT_EQ(t.fixed.pm1a_event.bytes, 4);
  EXPECT_EQ(t.fixed.pm1b_event.bytes, 0);
  f.put(kFadt + 112, u32{1 << 4});
  f.table(kFadt, "FACP", 244);
  acpi::Tables method;
  REQUIRE(acpi::parse(memory, kRoot, method).has_value());
  EXPECT(!method.fixed.has_power_button);
}

TEST(acpi_tables, skips_a_table_with_a_wrong_sum) {
  Firmware f = a_machine();
  f.put(kHpet + 44, u64{0xdead0000});  // the sum no longer fits
  base::BufferView memory = f.view();
  acpi::Tables t;
  REQUIRE(acpi::parse(memory, kRoot, t).has_value());
  EXPECT_EQ(t.bad_tables, 1u);
  EXPECT_EQ(t.hpet, 0u);
  EXPECT_EQ(t.cpus.size(), 2u);
}

TEST(acpi_tables, a_broken_entry_ends_its_table_only) {
  Firmware f = a_machine();
  f.put(kMadt + 53, u8{0});  // an entry without a length would never end
  f.table(kMadt, "APIC", 90);
  base::BufferView memory = f.view();
  acpi::Tables t;
  REQUIRE(acpi::parse(memory, kRoot, t).has_value());
  EXPECT_EQ(t.bad_tables, 1u);
  EXPECT_EQ(t.cpus.size(), 1u);
  EXPECT(t.fixed.has_s5);
}

TEST(acpi_tables, refuses_a_broken_root) {
  Firmware f = a_machine();
  f.put(kRoot + 9, u8{1});
  base::BufferView memory = f.view();
  acpi::Tables t;
  EXPECT(!acpi::parse(memory, kRoot, t).has_value());
  EXPECT(!acpi::find_root_pointer(memory).has_value());
}
