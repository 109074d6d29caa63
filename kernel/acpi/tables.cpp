// SPDX-License-Identifier: GPL-2.0-or-later
// Reads RSDP, XSDT or RSDT, MADT, MCFG, HPET, DMAR, IVRS, FADT and \_S5 of the DSDT or an SSDT.
// ACPI 6.5, chapter 5.
#include "kernel/acpi/tables.h"

#include <algorithm>

#include "kernel/acpi/fields.h"

namespace acpi {
namespace {

constexpr u64 kMaxTableBytes = 16 * kMiB;  // the DSDT of a large server has one or two
constexpr u32 kMaxTables = 512;
constexpr std::string_view kRootSignature = "RSD PTR ";

struct [[gnu::packed]] Header {  // 5.2.6
  char signature[4];
  u32 bytes;
  u8 revision, checksum;
  char oem[6], oem_table[8];
  u32 oem_revision, creator, creator_revision;
};
static_assert(sizeof(Header) == 36);

bool sums_to_zero(Bytes bytes) {
  u8 sum = 0;
  for (Byte b : bytes) sum = static_cast<u8>(sum + b);
  return sum == 0;
}

std::string_view text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Returns the whole table at `address`, header included, after checking its checksum.
Result<Bytes> table_at(base::PhysicalView& memory, u64 address) {
  auto header = TRY(memory.read<Header>(address));
  if (header.bytes < sizeof header || header.bytes > kMaxTableBytes)
    return fail(Errc::kCorrupt, "an ACPI table with an absurd length");
  Bytes table = TRY(memory.at(address, header.bytes));
  if (!sums_to_zero(table)) return fail(Errc::kCorrupt, "an ACPI table with a wrong sum");
  return table;
}

// ---- MADT, 5.2.12 --------------------------------------------------------------------------

void add_cpu(u32 apic_id, u32 flags, Tables& out) {
  constexpr u32 kEnabled = 1 << 0;
  if ((flags & kEnabled) == 0) return;
  for (u32 known : out.cpus)
    if (known == apic_id) return;  // a CPU may be listed in both styles
  if (!out.cpus.push_back(apic_id)) out.bad_tables++;
}

void read_override(Bytes entry, Tables& out) {
  u16 flags = field<u16>(entry, 8);
  // 0 in either field means the bus's default: ISA is edge-triggered and active high.
  LineOverride line{.isa_line = field<u8>(entry, 3),
                    .global_line = field<u32>(entry, 4),
                    .level = (flags >> 2 & 3) == 3,
                    .active_low = (flags & 3) == 3};
  if (!out.overrides.push_back(line)) out.bad_tables++;
}

// A socket without a CPU may leave an entry with address 0, where RAM is.
void read_io_apic(Bytes entry, Tables& out) {
  IoApic io{.address = field<u32>(entry, 4), .first_line = field<u32>(entry, 8)};
  if (io.address != 0 && !out.io_apics.push_back(io)) out.bad_tables++;
}

// Boards are seen with two MADTs that say the same. The first one tells of controllers and lines;
// of a later one only CPUs count that are new, since a CPU that is not there is noticed when it is
// started.
void read_madt(base::PhysicalView&, Bytes table, Tables& out) {
  bool first = out.cpus.empty() && out.io_apics.empty();
  if (first) out.local_apic = field<u32>(table, 36);
  Bytes rest = table.subspan(std::min<usize>(44, table.size()));
  while (rest.size() >= 2) {
    u8 kind = rest[0];
    u8 bytes = rest[1];
    if (bytes < 2 || bytes > rest.size()) {
      out.bad_tables++;
      return;
    }
    Bytes entry = rest.first(bytes);
    rest = rest.subspan(bytes);
    switch (kind) {
      case 0:
        add_cpu(field<u8>(entry, 3), field<u32>(entry, 4), out);
        break;
      case 1:
        if (first) read_io_apic(entry, out);
        break;
      case 2:
        if (first) read_override(entry, out);
        break;
      case 5:
        if (first) out.local_apic = field<u64>(entry, 4);
        break;
      case 9:
        add_cpu(field<u32>(entry, 4), field<u32>(entry, 8), out);
        break;
      default:
        read_gic(kind, entry, out);
        break;
    }
  }
  finish_gic(out);
}

// ---- MCFG (PCI Firmware Specification 3.3, 4.1.2), HPET --------------------------------------

void read_mcfg(base::PhysicalView&, Bytes table, Tables& out) {
  constexpr u64 kFirst = 44, kEntry = 16;
  for (u64 at = kFirst; at + kEntry <= table.size(); at += kEntry) {
    u64 base = field<u64>(table, at);
    static constinit boot::PciHost host;  // large for a boot stack
    host = {};
    host.segment = field<u16>(table, at + 8);
    host.first_bus = field<u8>(table, at + 10);
    host.last_bus = field<u8>(table, at + 11);
    host.coherent = true;  // unless the IORT says otherwise
    // The base stands for bus 0, whatever the first bus is (table 4-3).
    host.ecam = base + u64{host.first_bus} * kMiB;
    if (base == 0 || base > ~(256 * kMiB) || host.last_bus < host.first_bus ||
        !out.hardware.pci_hosts.push_back(host))
      out.bad_tables++;
  }
}

void read_hpet(base::PhysicalView&, Bytes table, Tables& out) {
  constexpr u64 kAddressSpace = 40, kAddress = 44;
  if (field<u8>(table, kAddressSpace) == 0) out.hpet = field<u64>(table, kAddress);
}

// ---- DMAR (VT-d Architecture Specification 4.1, 8) and IVRS (AMD I/O Virtualization 3.08, 5.2)
// ----

void add_iommu(Iommu::Kind kind, u64 registers, Tables& out) {
  for (const Iommu& known : out.iommus)
    if (known.registers == registers) return;  // IVRS lists a unit once for each revision
  if (registers == 0 || !out.iommus.push_back({kind, registers})) out.bad_tables++;
}

void read_dmar(base::PhysicalView&, Bytes table, Tables& out) {
  constexpr u64 kFirst = 48, kHead = 4;
  constexpr u16 kUnit = 0;  // DRHD: the address of its registers lies at 8
  for (u64 at = kFirst; at + kHead <= table.size();) {
    u16 bytes = field<u16>(table, at + 2);
    if (bytes < kHead || bytes > table.size() - at) {
      out.bad_tables++;
      return;
    }
    if (field<u16>(table, at) == kUnit)
      add_iommu(Iommu::Kind::kIntel, field<u64>(table.subspan(at, bytes), 8), out);
    at += bytes;
  }
}

void read_ivrs(base::PhysicalView&, Bytes table, Tables& out) {
  constexpr u64 kFirst = 48, kHead = 4;
  constexpr u8 kUnits[] = {0x10, 0x11, 0x40};  // IVHD: the address of its registers lies at 8
  for (u64 at = kFirst; at + kHead <= table.size();) {
    u16 bytes = field<u16>(table, at + 2);
    if (bytes < kHead || bytes > table.size() - at) {
      out.bad_tables++;
      return;
    }
    if (std::ranges::find(kUnits, table[at]) != std::end(kUnits))
      add_iommu(Iommu::Kind::kAmd, field<u64>(table.subspan(at, bytes), 8), out);
    at += bytes;
  }
}

// ---- FADT, 5.2.9 ---------------------------------------------------------------------------

// Reads a generic address structure (5.2.3.2): space, bits, bit offset, access size, address.
Register generic(Bytes table, u64 offset) {
  u8 space = field<u8>(table, offset);
  u8 bits = field<u8>(table, offset + 1);
  u64 address = field<u64>(table, offset + 4);
  if (address == 0 || space > 2) return {};
  u8 bytes = bits == 0 ? u8{1} : static_cast<u8>(std::min(bits / 8, 8));
  return {static_cast<Register::Space>(space), bytes, address};
}

// Returns the 64-bit form if there is one, otherwise the old port number. The old form's length
// counts: boards are seen whose 64-bit forms say 8 bits for all blocks, or 32 for control registers
// of 16.
Register preferred(Bytes table, u64 extended, u64 port, u64 length) {
  u8 bytes = field<u8>(table, length);
  Register r = generic(table, extended);
  if (r.bytes != 0 && bytes != 0) r.bytes = bytes;
  if (r.bytes != 0) return r;
  u32 number = field<u32>(table, port);
  if (number == 0 || number > 0xffff) return {};
  return {Register::Space::kPort, bytes, number};
}

// Finds `Name (_S5, Package () {a, b, ...})` without an interpreter: looks for the name after a
// NameOp, then takes the package's first two integers (20.2.5). Boards that compute the package are
// not supported.
void find_s5(Bytes dsdt, FixedHardware& out) {
  constexpr Byte kNameOp = 0x08, kPackageOp = 0x12, kRoot = '\\', kBytePrefix = 0x0a,
                 kZeroOp = 0x00, kOneOp = 0x01;
  std::string_view code = text(dsdt);
  for (usize at = code.find("_S5_"); at != std::string_view::npos; at = code.find("_S5_", at + 1)) {
    bool named = (at >= 1 && dsdt[at - 1] == kNameOp) ||
                 (at >= 2 && dsdt[at - 1] == kRoot && dsdt[at - 2] == kNameOp);
    usize i = at + 4;
    if (!named || i + 2 > dsdt.size() || dsdt[i] != kPackageOp) continue;
    i += 1;
    i += 1 + (dsdt[i] >> 6);  // the package's length: its top two bits count further bytes
    i += 1;                   // number of elements
    u8 values[2] = {};
    bool good = true;
    for (u8& value : values) {
      if (i < dsdt.size() && dsdt[i] == kBytePrefix)
        i++;
      else if (i < dsdt.size() && dsdt[i] != kZeroOp && dsdt[i] != kOneOp)
        good = false;
      if (i >= dsdt.size()) good = false;
      if (!good) break;
      value = dsdt[i++];
    }
    if (!good || values[0] > 7 || values[1] > 7) continue;
    out.has_s5 = true;
    out.s5_a = values[0];
    out.s5_b = values[1];
    return;
  }
}

void read_fadt(base::PhysicalView& memory, Bytes table, Tables& out) {
  constexpr u32 kResetFlag = 1 << 10, kReducedFlag = 1 << 20, kTimer32Flag = 1 << 8,
                kButtonIsMethod = 1 << 4;
  constexpr u16 k8042Flag = 1 << 1, kPsci = 1 << 0, kPsciByHvc = 1 << 1;
  FixedHardware& f = out.fixed;
  u32 flags = field<u32>(table, 112);
  f.present = true;
  f.reduced = (flags & kReducedFlag) != 0;
  f.pm_timer_32_bits = (flags & kTimer32Flag) != 0;
  f.smi_command = static_cast<u16>(field<u32>(table, 48));
  f.acpi_enable = field<u8>(table, 52);
  f.has_power_button = (flags & kButtonIsMethod) == 0;
  f.sci_line = field<u16>(table, 46);
  f.pm1a_event = preferred(table, 148, 56, 88);
  f.pm1b_event = preferred(table, 160, 60, 88);
  f.pm1a_control = preferred(table, 172, 64, 89);
  f.pm1b_control = preferred(table, 184, 68, 89);
  f.pm_timer = preferred(table, 208, 76, 91);
  f.sleep_control = generic(table, 244);
  // Before revision 3 the boot flags are unreliable, so such a board counts as having the
  // controller.
  f.has_8042 = table[8] < 3 || (field<u16>(table, 109) & k8042Flag) != 0;
  if ((flags & kResetFlag) != 0) {
    f.reset = generic(table, 116);
    f.reset_value = field<u8>(table, 128);
  }
  u16 arm = field<u16>(table, 129);
  if ((arm & kPsci) != 0)
    out.hardware.conduit = (arm & kPsciByHvc) != 0 ? boot::Conduit::kHvc : boot::Conduit::kSmc;
  u64 dsdt = field<u64>(table, 140);
  if (dsdt == 0) dsdt = field<u32>(table, 40);
  auto code = table_at(memory, dsdt);
  if (code.has_value())
    find_s5(code->subspan(sizeof(Header)), f);
  else
    out.bad_tables++;
}

// Boards are seen whose DSDT has no \_S5: an SSDT has it.
void read_ssdt(base::PhysicalView&, Bytes table, Tables& out) {
  if (!out.fixed.has_s5) find_s5(table.subspan(sizeof(Header)), out.fixed);
}

struct TableKind {
  std::string_view signature;
  void (*read)(base::PhysicalView& memory, Bytes table, Tables& out);
  bool many = false;  // there may be more than one
};
constexpr TableKind kKinds[] = {
    {"APIC", read_madt, true}, {"MCFG", read_mcfg}, {"HPET", read_hpet},
    {"FACP", read_fadt},       {"GTDT", read_gtdt}, {"SPCR", read_spcr},
    {"DMAR", read_dmar},       {"IVRS", read_ivrs}, {"SSDT", read_ssdt, true}};
constexpr std::string_view kIortSignature = "IORT";

struct Progress {
  u64 iort = 0;  // where one lies. It is read last: it is about PCI hosts, which any table may name
  bool read[std::size(kKinds)] = {};
};

void read_table(base::PhysicalView& memory, u64 address, Tables& out, Progress& progress) {
  auto header = memory.read<Header>(address);
  if (!header.has_value()) {
    out.bad_tables++;
    return;
  }
  std::string_view signature(header->signature, sizeof header->signature);
  u32 bad_before = out.bad_tables;
  if (signature == kIortSignature && progress.iort == 0) progress.iort = address;
  for (usize i = 0; i < std::size(kKinds); i++) {
    if (kKinds[i].signature != signature || progress.read[i]) continue;
    auto table = table_at(memory, address);
    progress.read[i] = table.has_value() && !kKinds[i].many;
    if (table.has_value())
      kKinds[i].read(memory, *table, out);
    else
      out.bad_tables++;
  }
  TableEntry entry{.address = address,
                   .bytes = header->bytes,
                   .revision = header->revision,
                   .bad = out.bad_tables != bad_before,
                   .signature = {},
                   .oem = {},
                   .oem_table = {}};
  std::ranges::copy(header->signature, entry.signature);
  std::ranges::copy(header->oem, entry.oem);
  std::ranges::copy(header->oem_table, entry.oem_table);
  static_cast<void>(out.listed.push_back(entry));
}

// RSDT entries are 32 bits, XSDT entries 64 (5.2.7, 5.2.8).
Result<void> read_root(base::PhysicalView& memory, u64 address, u32 entry_bytes, Tables& out) {
  Bytes root = TRY(table_at(memory, address));
  u64 count = std::min<u64>((root.size() - sizeof(Header)) / entry_bytes, kMaxTables);
  Progress progress;
  for (u64 i = 0; i < count; i++) {
    u64 at = sizeof(Header) + i * entry_bytes;
    u64 table = entry_bytes == 8 ? field<u64>(root, at) : field<u32>(root, at);
    if (table != 0) read_table(memory, table, out, progress);
  }
  if (progress.iort == 0) return {};
  auto table = table_at(memory, progress.iort);
  if (table.has_value())
    read_iort(*table, out);
  else
    out.bad_tables++;
  return {};
}

constexpr u64 kRootBytes = 20;  // the sum of ACPI 1.0 covers these

bool is_root_pointer(base::PhysicalView& memory, u64 address) {
  auto bytes = memory.at(address, kRootBytes);
  return bytes.has_value() && text(*bytes).starts_with(kRootSignature) && sums_to_zero(*bytes);
}

}  // namespace

Result<u64> find_root_pointer(base::PhysicalView& memory) {
  constexpr u64 kBiosDataSegment = 0x40e;  // a real-mode segment number, where page 0 may be read
  constexpr u64 kStep = 16, kBegin = 0xe0000, kEnd = 0x100000;
  if (auto segment = memory.read<u16>(kBiosDataSegment); segment.has_value() && *segment != 0)
    for (u64 at = u64{*segment} << 4, end = at + kKiB; at < end; at += kStep)
      if (is_root_pointer(memory, at)) return at;
  for (u64 at = kBegin; at < kEnd; at += kStep)
    if (is_root_pointer(memory, at)) return at;
  return fail(Errc::kNotFound, "no ACPI root pointer");
}

Result<void> parse(base::PhysicalView& memory, u64 rsdp, Tables& out) {
  if (!is_root_pointer(memory, rsdp)) return fail(Errc::kCorrupt, "not an ACPI root pointer");
  Bytes root = TRY(memory.at(rsdp, kRootBytes));
  u8 revision = root[15];
  if (revision >= 2) {
    Bytes extended = TRY(memory.at(rsdp, 36));
    u64 xsdt = field<u64>(extended, 24);
    // A broken XSDT next to a good RSDT is seen in the field: fall back.
    if (xsdt != 0 && read_root(memory, xsdt, 8, out).has_value()) return {};
  }
  return read_root(memory, field<u32>(root, 16), 4, out);
}

}  // namespace acpi
