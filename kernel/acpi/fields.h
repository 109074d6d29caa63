// SPDX-License-Identifier: GPL-2.0-or-later
// Declares what the parts of the ACPI parser share: the fields of a table and the entries of its
// lists.
#pragma once

#include "kernel/acpi/tables.h"

namespace acpi {

using Bytes = std::span<const Byte>;

// Returns a field of a table, or zero if the table is an older, shorter revision without it.
template <class T>
T field(Bytes table, u64 offset) {
  auto bytes = base::slice(table, offset, sizeof(T));
  return bytes.has_value() ? base::load<T>(bytes->data()) : T{};
}

// Reads a MADT entry of the GIC (5.2.12.14 to 5.2.12.18). Returns false for one of another kind.
bool read_gic(u8 kind, Bytes entry, Tables& out);
void finish_gic(Tables& out);  // called when the MADT has ended

void read_gtdt(base::PhysicalView& memory, Bytes table, Tables& out);
void read_spcr(base::PhysicalView& memory, Bytes table, Tables& out);
// Reads the IORT (Arm DEN 0049E), which says how message units number the requesters of PCI hosts.
// Called after the MCFG.
void read_iort(Bytes table, Tables& out);

}  // namespace acpi
