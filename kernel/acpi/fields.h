// SPDX-License-Identifier: GPL-2.0-or-later
// Shared by the parts of the ACPI parser: the fields of a table and the entries of its lists.
#pragma once

#include "kernel/acpi/tables.h"

namespace acpi {

using Bytes = std::span<const Byte>;

// A field of a table that may be an older, shorter revision: zero where it ends before.
template <class T>
T field(Bytes table, u64 offset) {
  auto bytes = base::slice(table, offset, sizeof(T));
  return bytes.has_value() ? base::load<T>(bytes->data()) : T{};
}

// MADT entries of the GIC (5.2.12.14 to 5.2.12.18); false for one of another kind.
bool read_gic(u8 kind, Bytes entry, Tables& out);
void finish_gic(Tables& out);  // the MADT has ended

void read_gtdt(base::PhysicalView& memory, Bytes table, Tables& out);
void read_spcr(base::PhysicalView& memory, Bytes table, Tables& out);
// IORT (Arm DEN 0049E): what PCI hosts' requesters are to message units. After the MCFG.
void read_iort(Bytes table, Tables& out);

}  // namespace acpi
