// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the tables that ARM machines have: GIC entries of the MADT, GTDT, SPCR. ACPI 6.5, 5.2.12
// and 5.2.25; Serial Port Console Redirection Table 1.08.
#include "kernel/acpi/fields.h"

namespace acpi {
namespace {

using boot::AddressRange;
using boot::MessageUnit;

// Adds redistributors. Neighbours become one row, because firmware may list one for each CPU.
void add_redistributors(AddressRange range, Tables& out) {
  auto& rows = out.hardware.gic.redistributors;
  if (!rows.empty()) {
    AddressRange& last = rows[rows.size() - 1];
    if (last.base + last.bytes == range.base) {
      last.bytes += range.bytes;
      return;
    }
  }
  if (!rows.push_back(range)) out.bad_tables++;
}

void read_cpu(Bytes entry, Tables& out) {
  constexpr u32 kEnabled = 1 << 0;
  constexpr u64 kRedistributorBytes = 128 * kKiB;
  if ((field<u32>(entry, 12) & kEnabled) == 0) return;
  if (!out.hardware.cpus.push_back(field<u64>(entry, 68))) out.bad_tables++;
  out.hardware.gic.cpu_interface = field<u64>(entry, 32);
  u64 redistributor = field<u64>(entry, 60);
  if (redistributor != 0 && redistributor <= ~kRedistributorBytes)
    add_redistributors({redistributor, kRedistributorBytes}, out);
}

void read_distributor(Bytes entry, Tables& out) {
  out.hardware.gic.distributor = field<u64>(entry, 8);
  out.hardware.gic.version = field<u8>(entry, 20);
}

void read_redistributors(Bytes entry, Tables& out) {
  AddressRange range{field<u64>(entry, 4), field<u32>(entry, 12)};
  if (range.bytes > ~range.base)
    out.bad_tables++;
  else
    add_redistributors(range, out);
}

void read_frame(Bytes entry, Tables& out) {
  constexpr u32 kLinesAreTold = 1 << 0;
  MessageUnit unit{.base = field<u64>(entry, 8), .id = field<u32>(entry, 4)};
  if ((field<u32>(entry, 16) & kLinesAreTold) != 0) {
    unit.lines = field<u16>(entry, 20);
    unit.first_line = field<u16>(entry, 22);
  }
  if (!out.hardware.gic.frames.push_back(unit)) out.bad_tables++;
}

void read_its(Bytes entry, Tables& out) {
  MessageUnit unit{.base = field<u64>(entry, 8), .id = field<u32>(entry, 4)};
  if (!out.hardware.gic.its.push_back(unit)) out.bad_tables++;
}

struct EntryKind {
  u8 kind;
  void (*read)(Bytes entry, Tables& out);
};
constexpr EntryKind kKinds[] = {{0x0b, read_cpu},
                                {0x0c, read_distributor},
                                {0x0d, read_frame},
                                {0x0e, read_redistributors},
                                {0x0f, read_its}};

boot::LineTrigger timer_line(Bytes table, u64 offset) {
  u32 flags = field<u32>(table, offset + 4);
  return {
      .line = field<u32>(table, offset), .level = (flags & 1) == 0, .active_low = (flags & 2) != 0};
}

}  // namespace

bool read_gic(u8 kind, Bytes entry, Tables& out) {
  for (const EntryKind& row : kKinds) {
    if (row.kind != kind) continue;
    row.read(entry, out);
    return true;
  }
  return false;
}

// Decides the version. Version 0 means "ask the hardware", which a parser cannot. A GIC with
// redistributors is of version 3.
void finish_gic(Tables& out) {
  boot::Gic& gic = out.hardware.gic;
  if (gic.distributor != 0 && gic.version == 0) gic.version = gic.redistributors.empty() ? 2 : 3;
  if (gic.version > 3) gic.version = 3;  // version 4 adds what only virtual machines use
  if (gic.distributor == 0) gic.version = 0;
}

void read_gtdt(base::PhysicalView&, Bytes table, Tables& out) {
  constexpr u64 kPhysical = 56, kVirtual = 64;
  out.hardware.physical_timer = timer_line(table, kPhysical);
  out.hardware.virtual_timer = timer_line(table, kVirtual);
}

void read_spcr(base::PhysicalView&, Bytes table, Tables& out) {
  struct Interface {
    u8 number;
    BootConsole::Kind kind;
  };
  constexpr Interface kInterfaces[] = {{0x00, BootConsole::Kind::kUart16550},
                                       {0x01, BootConsole::Kind::kUart16550},
                                       {0x03, BootConsole::Kind::kPl011},
                                       {0x0e, BootConsole::Kind::kPl011},  // SBSA's generic UART
                                       {0x12, BootConsole::Kind::kUart16550}};
  constexpr u64 kInterface = 36, kSpace = 40, kWidth = 41, kAccess = 43, kAddress = 44,
                kInterruptKind = 52, kLine = 54;
  constexpr u8 kOfGic = 1 << 3;
  if (field<u8>(table, kSpace) != 0 || field<u64>(table, kAddress) == 0) return;  // not in memory
  for (const Interface& row : kInterfaces) {
    if (row.number != field<u8>(table, kInterface)) continue;
    bool words = field<u8>(table, kWidth) == 32 || field<u8>(table, kAccess) == 3;
    out.console = {
        .kind = row.kind,
        .base = field<u64>(table, kAddress),
        .stride = words ? 4u : 1u,
        .width = words ? 4u : 1u,
        .line = (field<u8>(table, kInterruptKind) & kOfGic) != 0 ? field<u32>(table, kLine) : 0};
  }
}

}  // namespace acpi
