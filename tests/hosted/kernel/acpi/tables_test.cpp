// SPDX-License-Identifier: GPL-2.0-or-later
// Tests ACPI tables built by hand: what is read, what is skipped, and what is refused.
#include "kernel/acpi/tables.h"

#include <algorithm>

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

TEST(acpi_tables, processors_by_both_styles_and_none_that_is_off) {
  Firmware f = a_machine();
  struct Row {
    u32 id, flags;
  };
  u64 at = kMadt + 90;
  for (Row row : {Row{3, 1}, Row{0x1234, 1}, Row{7, 0}, Row{8, 2}, Row{0xffffffff, 1}}) {
    f.put(at, u32{0x1009});  // type 9, 16 bytes
    f.put(at + 4, row.id);
    f.put(at + 8, row.flags);
    at += 16;
  }
  f.table(kMadt, "APIC", static_cast<u32>(at - kMadt));
  base::BufferView memory = f.view();
  acpi::Tables t;
  REQUIRE(acpi::parse(memory, kRoot, t).has_value());
  EXPECT_EQ(t.bad_tables, 0u);
  // 3 is listed twice; 7 is off, and 8 could only be switched on later.
  const u32 wanted[] = {1, 3, 0x1234, 0xffffffff};
  EXPECT(std::ranges::equal(t.cpus.view(), wanted));
}

TEST(acpi_tables, more_processors_than_places_are_counted) {
  static Byte bytes[0x4000] = {};
  auto put = [](u64 at, auto value) { base::store(bytes + at, value); };
  auto close = [&](u64 at, u64 length, u64 check) {
    u8 sum = 0;
    for (u64 i = 0; i < length; i++) sum = static_cast<u8>(sum + bytes[at + i]);
    put(check, static_cast<u8>(-sum));
  };
  constexpr u32 kMore = 300, kLength = 44 + 16 * kMore;
  std::memcpy(bytes, "RSD PTR ", 8);
  put(16, u32{0xe0100});
  close(0, 20, 8);
  std::memcpy(bytes + 0x100, "RSDT", 4);
  put(0x104, u32{40});
  put(0x124, u32{0xe0200});
  close(0x100, 40, 0x109);
  std::memcpy(bytes + 0x200, "APIC", 4);
  put(0x204, kLength);
  for (u32 i = 0; i < kMore; i++) {
    put(0x200 + 44 + 16 * i, u32{0x1009});
    put(0x200 + 48 + 16 * i, i);
    put(0x200 + 52 + 16 * i, u32{1});
  }
  close(0x200, kLength, 0x209);
  base::BufferView memory(kBase, bytes);
  acpi::Tables t;
  REQUIRE(acpi::parse(memory, kBase, t).has_value());
  EXPECT_EQ(t.cpus.size(), t.cpus.capacity());
  EXPECT_EQ(t.bad_tables, kMore - t.cpus.capacity());
}

TEST(acpi_tables, the_first_good_table_of_a_kind_counts) {
  Firmware f = a_machine();
  constexpr u64 kSecond = kBase + 0x800, kThird = kBase + 0x900;
  for (u64 at : {kSecond, kThird}) {
    f.put(at + 44, u64{0xc0000000});
    f.put(at + 55, u8{0xe0});
    f.table(at, "MCFG", 60);
  }
  f.root(kXsdt, {kSecond, kMcfg, kThird});
  base::BufferView memory = f.view();
  acpi::Tables t;
  REQUIRE(acpi::parse(memory, kRoot, t).has_value());
  REQUIRE(t.hardware.pci_hosts.size() == 1);
  EXPECT_EQ(t.hardware.pci_hosts[0].last_bus, 0xe0);
  EXPECT_EQ(t.listed.size(), 3u);
  f.put(kSecond + 44, u64{0xdead0000});  // the sum no longer fits
  acpi::Tables broken;
  REQUIRE(acpi::parse(memory, kRoot, broken).has_value());
  EXPECT_EQ(broken.bad_tables, 1u);
  REQUIRE(broken.hardware.pci_hosts.size() == 1);
  EXPECT_EQ(broken.hardware.pci_hosts[0].last_bus, 255);
}

TEST(acpi_tables, an_ssdt_may_say_how_to_turn_the_board_off) {
  Firmware f = a_machine();
  constexpr u64 kFirst = kBase + 0x800, kSecond = kBase + 0x900;
  auto package = [&f](u64 at, u8 value) {
    f.put_text(at + 36, std::string_view("\x08\\_S5_\x12\x08\x04\x0a\x05\x0a\x05\x00\x00", 15));
    f.put(at + 46, value);
    f.table(at, "SSDT", 51);
  };
  package(kSecond, 2);
  f.table(kFirst, "SSDT", 40);
  f.root(kXsdt, {kFirst, kSecond, kFadt});
  base::BufferView memory = f.view();
  acpi::Tables both;
  REQUIRE(acpi::parse(memory, kRoot, both).has_value());
  EXPECT_EQ(both.fixed.s5_a, 5);  // the DSDT's counts
  f.put_text(kDsdt + 40, "      ");
  f.table(kDsdt, "DSDT", 64);
  acpi::Tables t;
  REQUIRE(acpi::parse(memory, kRoot, t).has_value());
  EXPECT_EQ(t.bad_tables, 0u);
  EXPECT(t.fixed.has_s5);
  EXPECT_EQ(t.fixed.s5_a, 2);
}

TEST(acpi_tables, iommus_of_both_makers) {
  Firmware f = a_machine();
  auto entry = [&f](u64 at, u32 head, u64 registers) {
    f.put(at, head);
    f.put(at + 8, registers);
  };
  // DMAR in the place of the HPET: a unit, a range of memory, a unit.
  entry(kHpet + 48, 16 << 16 | 0, 0xfed90000);
  entry(kHpet + 64, 24 << 16 | 1, 0xdead0000);
  entry(kHpet + 88, 16 << 16 | 0, 0xfed91000);
  f.table(kHpet, "DMAR", 104);
  // IVRS in the place of the MCFG: one unit by two revisions, a range of memory.
  entry(kMcfg + 48, 24 << 16 | 0x10, 0xfd200000);
  entry(kMcfg + 72, 40 << 16 | 0x11, 0xfd200000);
  entry(kMcfg + 112, 32 << 16 | 0x20, 0xdead0000);
  f.table(kMcfg, "IVRS", 144);
  base::BufferView memory = f.view();
  acpi::Tables t;
  REQUIRE(acpi::parse(memory, kRoot, t).has_value());
  EXPECT_EQ(t.bad_tables, 0u);
  REQUIRE(t.iommus.size() == 3);
  EXPECT_EQ(t.iommus[0].registers, 0xfd200000u);
  EXPECT(t.iommus[0].kind == acpi::Iommu::Kind::kAmd);
  EXPECT_EQ(t.iommus[2].registers, 0xfed91000u);
  EXPECT(t.iommus[2].kind == acpi::Iommu::Kind::kIntel);
  EXPECT_EQ(t.listed.size(), 4u);
  // An entry without a length would never end.
  f.put(kHpet + 66, u16{0});
  f.table(kHpet, "DMAR", 104);
  acpi::Tables broken;
  REQUIRE(acpi::parse(memory, kRoot, broken).has_value());
  EXPECT_EQ(broken.bad_tables, 1u);
  EXPECT_EQ(broken.iommus.size(), 2u);
}
