// SPDX-License-Identifier: GPL-2.0-or-later
// The command `firmware`: BootInfo and the ACPI tables as text, so that a machine somewhere else
// can be understood, and its tables become fixtures of tests.
#include <arch/firmware.h>

#include <algorithm>

#include "arch/x86_64/platform.h"
#include "boot/describe.h"

namespace arch {
namespace {

// Returns true for a table that describes hardware. No other table is shown, because some hold keys
// of software that came with the machine.
bool is_hardware(std::string_view signature) {
  constexpr std::string_view kShown[] = {"APIC", "MCFG", "HPET", "FACP", "DMAR", "IVRS", "SRAT"};
  return std::ranges::find(kShown, signature) != std::end(kShown);
}

void write_name(std::span<const char> name, base::Writer& out) {
  for (char c : name) out.write({c > ' ' && c <= '~' ? &c : ".", 1});
}

void describe_table(const acpi::TableEntry& table, base::Writer& out) {
  constexpr u32 kMost = 8192;
  write_name(table.signature, out);
  base::format_to(out, " at {:#x}, {} bytes, revision {}, ", table.address, table.bytes,
                  table.revision);
  write_name(table.oem, out);
  out.write(" ");
  write_name(table.oem_table, out);
  out.write(table.bad ? ", BAD: skipped\n" : "\n");
  if (!is_hardware({table.signature, sizeof table.signature})) return;
  auto bytes = read_firmware(table.address, std::min(table.bytes, kMost));
  if (bytes.has_value()) boot::dump(*bytes, out);
}

}  // namespace

void describe_firmware(base::Writer& out) {
  if (const BootInfo* boot = boot_information(); boot != nullptr) boot::describe(*boot, out);
  for (const acpi::TableEntry& table : firmware().listed) describe_table(table, out);
}

}  // namespace arch
