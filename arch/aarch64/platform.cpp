// SPDX-License-Identifier: GPL-2.0-or-later
// Reads what the firmware says of the machine, and sets up the interrupt controller and the list of
// CPUs.
#include "arch/aarch64/platform.h"

#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/gic.h"
#include "arch/aarch64/psci.h"
#include "arch/aarch64/smp.h"
#include "boot/device_tree.h"
#include "boot/fdt.h"
#include "kernel/base/bytes.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/options.h"

namespace arch {
namespace {

constinit boot::Hardware machine;
constinit const BootInfo* boot_info = nullptr;
constinit Result<void> reading;  // of the device tree; logged once there is a log

u64 page_for_tables() {
  auto page = mm::allocate_pages({.bytes = mm::kPageBytes, .purpose = mm::Purpose::kPageTables});
  return page.has_value() ? reinterpret_cast<u64>(page->data()) : 0;
}

constexpr Option kExit{"exit", OptionKind::kChoice, "off", "off|semihosting",
                       "how the machine ends: semihosting gives an emulator its exit status"};
KERNEL_OPTION(kExit);

}  // namespace

u64 device_tree_bytes(u64 address) {
  constexpr u64 kAlignment = 8;
  if (address == 0 || address % kAlignment != 0) return 0;
  auto* header = reinterpret_cast<const volatile u32*>(address);
  constexpr u32 kMagic = 0xd00dfeed;
  u64 bytes = __builtin_bswap32(header[1]);
  return __builtin_bswap32(header[0]) == kMagic && bytes <= boot::fdt::kMostBytes ? bytes : 0;
}

void read_hardware(const BootInfo& boot) {
  if (const boot::Hardware* by_acpi = hardware_by_efi(); by_acpi != nullptr) {
    machine = *by_acpi;
  } else if (boot.device_tree != 0) {
    std::span tree(reinterpret_cast<const Byte*>(boot.device_tree),
                   device_tree_bytes(boot.device_tree));
    reading = boot::parse_device_tree(tree, machine);
  }
  psci::init(machine.conduit);
}

const BootInfo* boot_information() {
  return boot_info;
}

const boot::Hardware& hardware() {
  return machine;
}

bool exits_by_semihosting() {
  return options::text(kExit) == "semihosting";
}

void init_platform(const BootInfo& boot) {
  boot_info = &boot;
  paging::set_page_source(page_for_tables);
  if (!reading.has_value()) log::error("platform", "device tree: {}", reading.error());
  if (machine.skipped != 0)
    log::warn("platform", "{} of the firmware's rows could not be read", machine.skipped);
  smp::set_cpus(machine.cpus.view());
  gic::init();
  gic::init_cpu();
}

}  // namespace arch
