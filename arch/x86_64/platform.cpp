// SPDX-License-Identifier: GPL-2.0-or-later
// Sets up the machine around the CPU: firmware tables, interrupt controllers, the list of CPUs.
#include "arch/x86_64/platform.h"

#include <arch/cpu.h>
#include <arch/paging.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/io_apic.h"
#include "arch/x86_64/smp.h"
#include "boot/boot_info.h"
#include "kernel/acpi/iommu.h"
#include "kernel/base/bytes.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"

namespace arch {
namespace {

constinit acpi::Tables tables;
constinit const BootInfo* loader_words = nullptr;  // entry.cpp keeps them

// Firmware tables are in reserved memory; each page is mapped when it is first read.
class FirmwareMemory final : public base::PhysicalView {
 public:
  Result<std::span<const Byte>> at(u64 address, u64 bytes) override {
    constexpr u64 kTop = u64{1} << 46;
    if (bytes > kTop || address > kTop - bytes) return fail(Errc::kCorrupt, "no such address");
    TRY(paging::map_firmware(address, bytes));
    return std::span(reinterpret_cast<const Byte*>(address), bytes);
  }
};

void read_tables(const BootInfo& boot) {
  FirmwareMemory memory;
  u64 root = boot.acpi_rsdp;
  if (root == 0) root = acpi::find_root_pointer(memory).value_or(0);
  if (root == 0) return log::warn("acpi", "no tables: one cpu, no power-off");
  Result<void> parsed = acpi::parse(memory, root, tables);
  if (!parsed.has_value()) log::warn("acpi", "{}: one cpu, no power-off", parsed.error());
  if (tables.bad_tables != 0) log::warn("acpi", "{} bad tables skipped", tables.bad_tables);
}

class MappedRegisters final : public acpi::IommuRegisters {
 public:
  explicit MappedRegisters(u64 base) : base_(base) {}
  u32 read(u32 offset) override { return *reinterpret_cast<volatile u32*>(base_ + offset); }
  void write(u32 offset, u32 value) override {
    *reinterpret_cast<volatile u32*>(base_ + offset) = value;
  }

 private:
  u64 base_;
};

// Drivers give devices physical addresses; an IOMMU that translates would refuse them.
void turn_off_iommus() {
  for (const acpi::Iommu& unit : tables.iommus) {
    u64 page = base::round_down(unit.registers, paging::kPageBytes);
    if (!paging::map_device(page, acpi::kIommuBytes).has_value()) continue;
    MappedRegisters registers(page);
    acpi::IommuState state = acpi::turn_off_iommu(unit.kind, registers);
    if (state == acpi::IommuState::kTurnedOff)
      log::info("iommu", "{:#x}: the firmware had left translation on: turned off", page);
    else if (state == acpi::IommuState::kStays)
      log::error(
          "iommu",
          "{:#x} does not turn off: disks and cards may fail; turn VT-d, AMD-Vi or kernel DMA "
          "protection off in the firmware",
          page);
  }
}

// Finds a page of RAM for real mode, below the BIOS's data at the end of conventional memory.
u64 find_trampoline(const BootInfo& boot) {
  constexpr u64 kWanted = 0x8000;
  for (const MemoryRange& range : boot.memory)
    if (range.kind == MemoryKind::kUsable && range.base <= kWanted &&
        range.base + range.size >= kWanted + paging::kPageBytes)
      return kWanted;
  return 0;
}

u64 page_for_tables() {
  auto page = mm::allocate_pages({.bytes = mm::kPageBytes, .purpose = mm::Purpose::kPageTables});
  return page.has_value() ? reinterpret_cast<u64>(page->data()) : 0;
}

}  // namespace

const acpi::Tables& firmware() {
  return tables;
}

Result<std::span<const Byte>> read_firmware(u64 address, u64 bytes) {
  return FirmwareMemory().at(address, bytes);
}

const BootInfo* boot_information() {
  return loader_words;
}

void init_platform(const BootInfo& boot) {
  paging::set_page_source(page_for_tables);
  loader_words = &boot;
  read_tables(boot);
  apic::init(tables.local_apic);
  apic::enable();
  io_apic::init(tables);
  turn_off_iommus();
  smp::set_cpus(tables.cpus.view());
  smp::set_trampoline(find_trampoline(boot));
}

}  // namespace arch
