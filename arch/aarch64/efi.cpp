// SPDX-License-Identifier: GPL-2.0-or-later
// Takes over from UEFI. All that only the firmware can tell is read before its boot services end.
// ACPI's tables are read then, too, because all memory is still mapped.
#include "boot/efi.h"
#include "arch/aarch64/platform.h"
#include "boot/device_tree.h"
#include "kernel/acpi/tables.h"

extern "C" {
constinit u64 efi_device_tree = 0;  // for head.S
// Returns 0 when the boot services have ended, else an EFI_STATUS for the firmware.
u64 efi_main(void* image, void** table);
}

namespace arch {
namespace {

constinit BootInfo told, of_tree;
constinit bool came = false;
constinit acpi::Tables tables;

// Gives access to the ranges of the memory map and to nothing else, where nothing may answer.
class FirmwareMemory final : public base::PhysicalView {
 public:
  Result<std::span<const Byte>> at(u64 address, u64 bytes) override {
    for (const MemoryRange& range : told.memory)
      if (address >= range.base && bytes <= range.size &&
          address - range.base <= range.size - bytes)
        return std::span(reinterpret_cast<const Byte*>(address), bytes);
    return fail(Errc::kCorrupt, "no such address");
  }
};

bool has_word(std::string_view line, std::string_view word) {
  while (!line.empty()) {
    usize end = line.find(' ');
    if (line.substr(0, end) == word) return true;
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  }
  return false;
}

// Reads the device tree. A loader such as GRUB names its files in one, which has only /chosen when
// the firmware has ACPI.
void read_tree() {
  u64 bytes = device_tree_bytes(told.device_tree);
  std::span blob(reinterpret_cast<const Byte*>(told.device_tree), bytes);
  if (bytes == 0 || !boot::parse_device_tree(blob, of_tree).has_value()) {
    told.device_tree = 0;
    return;
  }
  for (const BootModule& module : of_tree.modules)
    if (!told.modules.full()) ASSERT(told.modules.push_back(module));
  if (told.command_line.empty()) told.command_line = of_tree.command_line;
  if (told.random_seed.empty()) told.random_seed = of_tree.random_seed;
  told.console = of_tree.console;
}

// Reads ACPI's tables. The option tables=fdt prefers the device tree where there are both.
void read_acpi() {
  bool unwanted = told.device_tree != 0 && has_word(told.command_line, "tables=fdt");
  FirmwareMemory memory;
  if (unwanted || told.acpi_rsdp == 0 || !acpi::parse(memory, told.acpi_rsdp, tables).has_value()) {
    told.acpi_rsdp = 0;
    return;
  }
  if (tables.console.kind != BootConsole::Kind::kNone) told.console = tables.console;
}

Result<void> take_over(boot::Efi efi) {
  TRY(boot::read_efi(efi, told));
  TRY(boot::read_efi_memory(efi, told));
  read_tree();
  read_acpi();
  if (told.acpi_rsdp == 0 && told.device_tree == 0)
    return fail(Errc::kUnsupported, "the firmware has neither ACPI tables nor a device tree");
  TRY(boot::leave_efi(efi, told));
  efi_device_tree = told.device_tree;
  came = true;
  return {};
}

}  // namespace

const BootInfo* told_by_efi() {
  return came ? &told : nullptr;
}

const boot::Hardware* hardware_by_efi() {
  if (!came || told.acpi_rsdp == 0) return nullptr;
  tables.hardware.skipped = tables.bad_tables;
  return &tables.hardware;
}

}  // namespace arch

u64 efi_main(void* image, void** table) {
  constexpr u64 kLoadError = u64{1} << 63 | 1;
  boot::Efi efi{image, table};
  Result<void> done = arch::take_over(efi);
  if (done.has_value()) return 0;
  boot::say_efi(efi, done.error().what);
  return kLoadError;
}
