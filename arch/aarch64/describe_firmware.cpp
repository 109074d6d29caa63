// SPDX-License-Identifier: GPL-2.0-or-later
// Writes what the command `firmware` shows: BootInfo and the parts of the machine as text, so that
// a machine somewhere else can be understood.
#include <arch/firmware.h>

#include "arch/aarch64/platform.h"
#include "boot/describe.h"

namespace arch {
namespace {

void describe_hardware(const boot::Hardware& machine, bool by_acpi, base::Writer& out) {
  // A loader may add a small tree to ACPI's tables, so the presence of a tree does not tell.
  base::format_to(
      out, "as {} says: {} cpus, GIC version {}, {} ITSs, {} message frames, timer line {}\n",
      by_acpi ? "ACPI" : "the device tree", machine.cpus.size(), machine.gic.version,
      machine.gic.its.size(), machine.gic.frames.size(), machine.virtual_timer.line);
  for (const boot::PciHost& host : machine.pci_hosts)
    base::format_to(out, "PCI segment {}, buses {} to {}, at {:#x}, {} windows\n", host.segment,
                    host.first_bus, host.last_bus, host.ecam, host.windows.size());
}

}  // namespace

void describe_firmware(base::Writer& out) {
  const BootInfo* boot = boot_information();
  if (boot == nullptr) return;
  boot::describe(*boot, out);
  describe_hardware(hardware(), boot->acpi_rsdp != 0, out);
  // The tree's bytes are not shown, because they hold the command line and the loader's random
  // seed.
  if (u64 bytes = device_tree_bytes(boot->device_tree); bytes != 0)
    base::format_to(out, "device tree of {} bytes at {:#x}\n", bytes, boot->device_tree);
}

}  // namespace arch
