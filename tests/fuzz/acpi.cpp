// SPDX-License-Identifier: GPL-2.0-or-later
// Parses arbitrary bytes as firmware tables. Checksums are repaired first, because otherwise hardly
// any input would get past them.
#include <vector>

#include "kernel/acpi/tables.h"

namespace {

constexpr u64 kBase = 0xe0000;

void repair(std::vector<u8>& bytes, usize at, usize length, usize check) {
  if (length > bytes.size() || at > bytes.size() - length || check >= bytes.size()) return;
  u8 sum = 0;
  for (usize i = 0; i < length; i++) sum = static_cast<u8>(sum + bytes[at + i]);
  bytes[check] = static_cast<u8>(bytes[check] - sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  constexpr usize kRootBytes = 36, kStep = 64;
  if (size < kRootBytes) return 0;
  std::vector<u8> bytes(data, data + size);
  std::memcpy(bytes.data(), "RSD PTR ", 8);
  repair(bytes, 0, 20, 8);
  // A table that begins on a multiple of 64 is given a right sum.
  for (usize at = kStep; at + kRootBytes <= size; at += kStep)
    repair(bytes, at, base::load<u32>(bytes.data() + at + 4), at + 9);
  base::BufferView memory(kBase, {bytes.data(), bytes.size()});
  static acpi::Tables tables;
  tables = {};
  if (acpi::parse(memory, kBase, tables).has_value()) {
    ASSERT(!tables.fixed.has_s5 || (tables.fixed.s5_a < 8 && tables.fixed.s5_b < 8));
    for (const boot::PciHost& host : tables.hardware.pci_hosts)
      ASSERT(host.first_bus <= host.last_bus);
    for (const boot::AddressRange& range : tables.hardware.gic.redistributors)
      ASSERT(range.bytes <= ~range.base);
  }
  return 0;
}
