// SPDX-License-Identifier: GPL-2.0-or-later
// ACPI tables of real machines: the facts of tests/machines are written as tables, at their real
// addresses where they are known, and the parser must find what the machine has.
#include <algorithm>
#include <cstdio>
#include <map>

#include "kernel/acpi/tables.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_machines.h"

namespace {

using Line = std::vector<std::string>;

// Pieces of memory by their address. Everything else is not there.
class Pieces final : public base::PhysicalView {
 public:
  Result<std::span<const Byte>> at(u64 address, u64 bytes) override {
    auto next = pieces_.upper_bound(address);
    if (next == pieces_.begin()) return fail(Errc::kCorrupt, "points before memory");
    const auto& [base, piece] = *std::prev(next);
    return base::slice(std::span<const Byte>(piece), address - base, bytes);
  }
  void put(u64 address, std::vector<Byte> piece) { pieces_[address] = std::move(piece); }

 private:
  std::map<u64, std::vector<Byte>> pieces_;
};

// A table that grows as fields are added to it.
class Table {
 public:
  explicit Table(std::string_view signature, usize bytes = 36) : bytes_(bytes) {
    set_text(0, signature, 4, ' ');
  }
  template <class T>
  Table& add(T value) {
    bytes_.resize(bytes_.size() + sizeof(T));
    base::store(&bytes_[bytes_.size() - sizeof(T)], value);
    return *this;
  }
  template <class T>
  Table& set(usize at, T value) {
    if (bytes_.size() < at + sizeof(T)) bytes_.resize(at + sizeof(T));
    base::store(&bytes_[at], value);
    return *this;
  }
  Table& set_text(usize at, std::string_view text, usize width, char rest) {
    for (usize i = 0; i < width; i++)
      bytes_[at + i] = static_cast<Byte>(i < text.size() ? text[i] : rest);
    return *this;
  }
  // Fills in the length and makes the bytes sum to zero.
  std::vector<Byte> closed() {
    set(4, static_cast<u32>(bytes_.size()));
    set(9, u8{0});
    u8 sum = 0;
    for (Byte b : bytes_) sum = static_cast<u8>(sum + b);
    set(9, static_cast<u8>(-sum));
    return bytes_;
  }

 private:
  std::vector<Byte> bytes_;
};

u16 mode_of(const std::string& polarity, const std::string& trigger) {  // ACPI 6.5, table 5.26
  u16 low = polarity == "low" ? 3 : polarity == "high" ? 1 : 0;
  u16 level = trigger == "level" ? 3 : trigger == "edge" ? 1 : 0;
  return static_cast<u16>(low | level << 2);
}

struct Cpu {
  u32 uid, id;
  bool on, wide;
};

// Returns the machine's MADT rows. Where its log has none, it returns as many CPUs as the log
// counts, with the numbers from 0 on.
std::vector<Cpu> cpus_of(const MachineFacts& machine) {
  std::vector<Cpu> cpus;
  for (const Line& line : machine.lines) {
    bool wide = line[0] == "x2on", on = wide || line[0] == "on";
    if (!on && line[0] != "off") continue;
    for (usize i = 1; i < line.size(); i++)
      cpus.push_back({static_cast<u32>(number_of(line[i], 16)),
                      static_cast<u32>(number_of(line[i].substr(line[i].find(':') + 1), 16)), on,
                      wide});
  }
  u64 count = cpus.empty() ? machine.number("cpus", 10, 0) : 0;
  for (u32 id = 0; id < count; id++) cpus.push_back({id, id, true, id >= 0xff});
  return cpus;
}

Table madt_of(const MachineFacts& machine) {  // 5.2.12
  Table t("APIC");
  t.add(u32{0xfee00000}).add(u32{1});
  for (const Cpu& c : cpus_of(machine)) {
    if (c.wide)
      t.add(u16{0x1009}).add(u16{0}).add(c.id).add(u32{c.on}).add(c.uid);
    else
      t.add(u16{0x0800}).add(static_cast<u8>(c.uid)).add(static_cast<u8>(c.id)).add(u32{c.on});
  }
  for (const Line& l : machine.all("nmi"))
    for (usize i = 3; i < l.size(); i++)
      t.add(u16{0x0604})
          .add(static_cast<u8>(number_of(l[i], 16)))
          .add(mode_of(l[1], l[2]))
          .add(u8{1});
  for (const Line& l : machine.all("ioapic"))
    t.add(u16{0x0c01})
        .add(static_cast<u16>(number_of(l.at(1), 16)))
        .add(static_cast<u32>(number_of(l.at(2), 16)))
        .add(static_cast<u32>(number_of(l.at(3), 10)));
  for (const Line& l : machine.all("override"))
    t.add(u16{0x0a02})
        .add(u8{0})
        .add(static_cast<u8>(number_of(l.at(1), 10)))
        .add(static_cast<u32>(number_of(l.at(2), 10)))
        .add(mode_of(l.at(3), l.at(4)));
  return t;
}

struct Block {
  std::string_view name;
  usize port, length, extended;  // offsets in the FADT
  u8 bytes;                      // of the block in all machines
};
constexpr Block kBlocks[] = {
    {"event", 56, 88, 148, 4}, {"control", 64, 89, 172, 2}, {"timer", 76, 91, 208, 4}};

u64 port_of(const MachineFacts& machine, std::string_view block) {
  constexpr u64 kUnknown = 0x400;  // where only the widths are known
  if (block == "timer") return machine.number("timer", 16, machine.has("width") ? kUnknown : 0);
  auto pm1 = machine.all("pm1");
  if (pm1.empty()) return machine.has("width") ? kUnknown : 0;
  return number_of(pm1.front().at(block == "event" ? 1 : 2), 16);
}

// From revision 3 on a FADT has every block twice (5.2.9).
Table fadt_of(const MachineFacts& machine, usize bytes) {
  Table t("FACP", bytes);
  bool extended = bytes >= 244;
  if (extended) t.set(8, u8{3});
  for (const Block& b : kBlocks) {
    u64 port = port_of(machine, b.name);
    if (port == 0) continue;
    u8 old_bytes = b.bytes, new_bits = static_cast<u8>(8 * b.bytes);
    for (const Line& l : machine.all("width")) {
      if (l.at(1) != b.name) continue;
      old_bytes = static_cast<u8>(number_of(l.at(2), 10));
      new_bits = static_cast<u8>(number_of(l.at(3), 10));
    }
    t.set(b.port, static_cast<u32>(port)).set(b.length, old_bytes);
    if (extended) t.set(b.extended, u8{1}).set(b.extended + 1, new_bits).set(b.extended + 4, port);
  }
  return t;
}

Table dmar_of(const MachineFacts& machine) {
  Table t("DMAR", 48);
  for (const Line& l : machine.all("iommu"))
    t.add(u32{16 << 16}).add(u32{0}).add(number_of(l.at(1), 16));
  return t;
}

// Writes the machine's table of this kind, as far as the facts go. It has its real length, unless
// that depends on rows which the log does not print.
Table table_of(const MachineFacts& machine, const std::string& signature, usize bytes) {
  if (signature == "APIC") return madt_of(machine);
  if (signature == "FACP") return fadt_of(machine, bytes);
  if (signature == "DMAR") return dmar_of(machine);
  Table t(signature, signature == "IVRS" ? 48 : bytes);
  if (signature == "HPET") t.set(44, machine.number("hpet", 16, 0));
  auto mcfg = machine.all("mcfg");
  if (signature == "MCFG" && !mcfg.empty())
    t.set(44, number_of(mcfg[0].at(1), 16))
        .set(52, static_cast<u16>(number_of(mcfg[0].at(2), 16)))
        .set(54, static_cast<u8>(number_of(mcfg[0].at(3), 16)))
        .set(55, static_cast<u8>(number_of(mcfg[0].at(4), 16)));
  return t;
}

std::string text_of(const std::string& word) {
  std::string text = word == "-" ? "" : word;
  std::ranges::replace(text, '_', ' ');
  return text;
}

// Returns the machine's list of tables, or one made from what is known of it.
std::vector<Line> listed(const MachineFacts& machine) {
  std::vector<Line> tables = machine.all("table");
  if (!tables.empty()) return tables;
  u64 at = 0x7ff00000;
  auto list = [&](const char* signature, const char* bytes) {
    char address[20];
    std::snprintf(address, sizeof address, "%llx", static_cast<unsigned long long>(at += 0x10000));
    tables.push_back({"table", signature, address, bytes, "1", "-", "-"});
  };
  list("FACP", machine.has("width") || machine.has("pm1") ? "f4" : "74");
  list("DSDT", "40");
  for (u64 i = machine.number("madts", 10, 1); i > 0; i--) list("APIC", "2c");
  if (machine.has("hpet")) list("HPET", "38");
  if (machine.has("mcfg")) list("MCFG", "3c");
  if (machine.has("iommu")) list("DMAR", "30");
  return tables;
}

// Puts the machine's tables into memory and returns the root pointer's address.
u64 build(const MachineFacts& machine, Pieces& memory) {
  u64 rsdp = 0xe0000, list_at = 0x7fe00000, revision = machine.has("table") ? 2 : 0;
  for (const Line& l : machine.all("root")) {
    if (l.at(1) != "-") rsdp = number_of(l.at(1), 16);
    revision = number_of(l.at(2), 10);
    list_at = number_of(l.at(3), 16);
  }
  Table list(revision == 0 ? "RSDT" : "XSDT");
  u64 dsdt = 0;
  for (const Line& l : listed(machine))
    if (l.at(1) == "DSDT") dsdt = number_of(l.at(2), 16);
  for (const Line& l : listed(machine)) {
    u64 at = number_of(l.at(2), 16);
    Table t = table_of(machine, l.at(1), number_of(l.at(3), 16));
    t.set(8, static_cast<u8>(number_of(l.at(4), 10)));
    t.set_text(10, text_of(l.at(5)), 6, ' ').set_text(16, text_of(l.at(6)), 8, ' ');
    if (l.at(1) == "FACP") t.set(40, static_cast<u32>(dsdt));
    memory.put(at, t.closed());
    if (l.at(1) == "DSDT") continue;
    if (revision == 0)
      list.add(static_cast<u32>(at));
    else
      list.add(at);
  }
  memory.put(list_at, list.closed());
  std::vector<Byte> root(36);  // 5.2.5.3
  std::memcpy(root.data(), "RSD PTR ", 8);
  root[15] = static_cast<Byte>(revision);
  base::store(&root[16], static_cast<u32>(revision == 0 ? list_at : 0));
  base::store(&root[20], u32{36});
  base::store(&root[24], revision == 0 ? 0 : list_at);
  u8 sum = 0;
  for (usize i = 0; i < 20; i++) sum = static_cast<u8>(sum + root[i]);
  root[8] = static_cast<Byte>(-sum);
  memory.put(rsdp, root);
  return rsdp;
}

std::vector<u32> enabled(const MachineFacts& machine) {
  std::vector<u32> ids;
  for (const Cpu& c : cpus_of(machine))
    if (c.on) ids.push_back(c.id);
  return ids;
}

// Each I/O APIC's lines lie apart from the others', and one of them has the line of an override:
// a number that was copied wrongly would hardly fit.
bool lines_fit(const MachineFacts& machine) {
  struct Range {
    u64 first, last;
  };
  std::vector<Range> ranges;
  for (const Line& l : machine.all("ioapic"))
    ranges.push_back({number_of(l.at(3), 10), number_of(l.at(4), 10)});
  std::ranges::sort(ranges, {}, &Range::first);
  for (usize i = 1; i < ranges.size(); i++)
    if (ranges[i].first <= ranges[i - 1].last) return false;
  return std::ranges::all_of(machine.all("override"), [&](const Line& l) {
    u64 line = number_of(l.at(2), 10);
    return std::ranges::any_of(ranges, [=](Range r) { return r.first <= line && line <= r.last; });
  });
}

bool has_io_apics(const MachineFacts& machine, const acpi::Tables& t) {
  usize i = 0;
  for (const Line& l : machine.all("ioapic")) {
    u64 address = number_of(l.at(2), 16);
    if (address == 0) continue;
    if (i >= t.io_apics.size() || t.io_apics[i].address != address ||
        t.io_apics[i].first_line != number_of(l.at(3), 10))
      return false;
    i++;
  }
  return i == t.io_apics.size();
}

bool has_overrides(const MachineFacts& machine, const acpi::Tables& t) {
  auto wanted = machine.all("override");
  return std::ranges::equal(
      wanted, t.overrides.view(), [](const Line& l, const acpi::LineOverride& o) {
        return o.isa_line == number_of(l.at(1), 10) && o.global_line == number_of(l.at(2), 10) &&
               o.active_low == (l.at(3) == "low") && o.level == (l.at(4) == "level");
      });
}

bool has_iommus(const MachineFacts& machine, const acpi::Tables& t) {
  auto wanted = machine.all("iommu");
  return std::ranges::equal(wanted, t.iommus.view(), [](const Line& l, const acpi::Iommu& unit) {
    return unit.registers == number_of(l.at(1), 16);
  });
}

bool has_blocks(const MachineFacts& machine, const acpi::FixedHardware& f) {
  const acpi::Register* found[] = {&f.pm1a_event, &f.pm1a_control, &f.pm_timer};
  for (usize i = 0; i < std::size(kBlocks); i++) {
    u64 port = port_of(machine, kBlocks[i].name);
    if (found[i]->address != port || found[i]->bytes != (port == 0 ? 0 : kBlocks[i].bytes))
      return false;
  }
  return f.present;
}

bool has_pci(const MachineFacts& machine, const acpi::Tables& t) {
  auto wanted = machine.all("mcfg");
  if (wanted.empty()) return t.hardware.pci_hosts.size() <= 1;  // a table without known numbers
  const Line& l = wanted.front();
  return t.hardware.pci_hosts.size() == 1 &&
         t.hardware.pci_hosts[0].ecam == number_of(l.at(1), 16) &&
         t.hardware.pci_hosts[0].last_bus == number_of(l.at(4), 16);
}

bool lists(const MachineFacts& machine, const acpi::Tables& t) {
  usize i = 0;
  for (const Line& l : listed(machine)) {
    if (l.at(1) == "DSDT") continue;  // the FADT names it, not the root
    if (i >= t.listed.size()) return false;
    const acpi::TableEntry& e = t.listed[i++];
    std::string oem = text_of(l.at(5)), name = text_of(l.at(6));
    oem.resize(sizeof e.oem, ' '), name.resize(sizeof e.oem_table, ' ');
    if (std::string_view(e.signature, 4) != l.at(1) || e.address != number_of(l.at(2), 16) ||
        e.revision != number_of(l.at(4), 10) || std::string_view(e.oem, sizeof e.oem) != oem ||
        std::string_view(e.oem_table, sizeof e.oem_table) != name)
      return false;
  }
  return i == t.listed.size();
}

struct Check {
  std::string_view name;
  bool (*holds)(const MachineFacts&, const acpi::Tables&);
};
constexpr Check kChecks[] = {
    {"cpus",
     [](const MachineFacts& m, const acpi::Tables& t) {
       std::vector<u32> ids = enabled(m);
       ids.resize(std::min<usize>(ids.size(), t.cpus.capacity()));
       return std::ranges::equal(ids, t.cpus.view());
     }},
    {"count of cpus",
     [](const MachineFacts& m, const acpi::Tables&) {
       return enabled(m).size() == m.number("cpus", 10, enabled(m).size());
     }},
    {"lines", [](const MachineFacts& m, const acpi::Tables&) { return lines_fit(m); }},
    {"io apics", has_io_apics},
    {"overrides", has_overrides},
    {"iommus", has_iommus},
    {"fadt", [](const MachineFacts& m, const acpi::Tables& t) { return has_blocks(m, t.fixed); }},
    {"hpet",
     [](const MachineFacts& m, const acpi::Tables& t) {
       return t.hpet == m.number("hpet", 16, 0) && t.local_apic == 0xfee00000;
     }},
    {"mcfg", has_pci},
    {"list", lists},
    {"bad tables",
     [](const MachineFacts& m, const acpi::Tables& t) {
       usize cpus = enabled(m).size();
       bool no_pci = m.has("table") && !m.has("mcfg");  // its MCFG is one of zeros
       return t.bad_tables == no_pci + cpus - std::min<usize>(cpus, t.cpus.capacity());
     }},
};

u64 look_at(const std::string& file, TestContext& test) {
  u64 machines = 0;
  for (const MachineFacts& machine : read_machines(file)) {
    Pieces memory;
    static acpi::Tables tables;
    tables = {};
    bool parsed = acpi::parse(memory, build(machine, memory), tables).has_value();
    EXPECT_EQ(std::string_view(parsed ? "" : machine.name.c_str()), "");
    for (const Check& check : kChecks)
      if (parsed && !check.holds(machine, tables))
        EXPECT_EQ(std::string_view(machine.name + ": " + std::string(check.name)), "");
    machines++;
  }
  return machines;
}

}  // namespace

TEST(acpi_machines, desktops_and_laptops) {
  EXPECT_EQ(look_at("acpi_desktops.txt", test), 41u);
}

TEST(acpi_machines, servers) {
  EXPECT_EQ(look_at("acpi_servers.txt", test), 24u);
}
