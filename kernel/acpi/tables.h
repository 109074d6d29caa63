// SPDX-License-Identifier: GPL-2.0-or-later
// What Marrow wants from the firmware's ACPI tables. ACPI Specification 6.5, chapter 5.
//
// A pure parser: every address it follows goes through the view, every table's sum is checked.
#pragma once

#include "boot/boot_info.h"
#include "boot/hardware.h"
#include "kernel/base/containers.h"
#include "kernel/base/physical_view.h"

namespace acpi {

struct IoApic {
  u64 address;
  u32 first_line;
};

struct LineOverride {
  u32 isa_line;
  u32 global_line;
  bool level;
  bool active_low;
};

// A register by address space; bytes == 0 means there is none.
struct Register {
  enum class Space : u8 { kMemory = 0, kPort = 1, kPciConfig = 2 };
  Space space = Space::kPort;
  u8 bytes = 0;
  u64 address = 0;
};

// The fixed hardware of the FADT, as far as power and time go.
struct FixedHardware {
  bool present = false;
  bool reduced = false;  // no PM registers: sleep goes by `sleep_control`
  bool has_8042 = true;
  Register pm_timer;  // 3.579545 MHz
  bool pm_timer_32_bits = false;
  bool has_power_button = false;    // as a bit of the event registers, not as a method
  Register pm1a_event, pm1b_event;  // status, and enable in the second half
  u16 sci_line = 0;                 // the interrupt of the event registers
  Register pm1a_control, pm1b_control;
  Register sleep_control;
  Register reset;
  u8 reset_value = 0;
  u16 smi_command = 0;
  u8 acpi_enable = 0;
  // \_S5_ of the DSDT: what power-off is called on this board.
  bool has_s5 = false;
  u8 s5_a = 0, s5_b = 0;
};

struct Tables {
  u64 local_apic = 0;           // 0 = not said
  StaticVector<u32, 256> cpus;  // APIC numbers, in the firmware's order
  // ARM's CPUs, GIC, timers and PSCI; on both architectures PCI's hosts, whose windows are in AML.
  boot::Hardware hardware;
  BootConsole console;  // of the SPCR
  StaticVector<IoApic, 8> io_apics;
  StaticVector<LineOverride, 16> overrides;
  u64 hpet = 0;  // 0 = none
  FixedHardware fixed;
  u32 bad_tables = 0;  // with a wrong sum or length: skipped
};

// Looks for the root pointer where a BIOS leaves it: the first KiB of the extended BIOS data area
// and 0xe0000..0xfffff (5.2.5.1). Other firmware than a PC's BIOS leaves nothing there, and these
// addresses may be a device's.
Result<u64> find_root_pointer(base::PhysicalView& memory);

// Follows the root pointer at `rsdp`. A broken table is counted and skipped; only a broken root
// is an error.
Result<void> parse(base::PhysicalView& memory, u64 rsdp, Tables& out);

}  // namespace acpi
