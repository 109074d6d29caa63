// SPDX-License-Identifier: GPL-2.0-or-later
// Parses the parts of the firmware's ACPI tables that Marrow uses. ACPI Specification 6.5, chapter
// 5.
//
// The parser is pure: every address that it follows goes through the view, and the checksum of
// every table is checked.
#pragma once

#include "boot/boot_info.h"
#include "boot/hardware.h"
#include "kernel/base/containers.h"
#include "kernel/base/physical_view.h"

namespace acpi {

// Servers of two sockets are seen with nine.
constexpr usize kMaxIoApics = 64;

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

// A register in an address space. bytes == 0 means that it does not exist.
struct Register {
  enum class Space : u8 { kMemory = 0, kPort = 1, kPciConfig = 2 };
  Space space = Space::kPort;
  u8 bytes = 0;
  u64 address = 0;
};

// The fixed hardware of the FADT that power-off and timers need.
struct FixedHardware {
  bool present = false;
  bool reduced = false;  // there are no PM registers: sleep states use `sleep_control`
  bool has_8042 = true;
  Register pm_timer;  // 3.579545 MHz
  bool pm_timer_32_bits = false;
  bool has_power_button = false;    // as a bit of the event registers, not as an ACPI method
  Register pm1a_event, pm1b_event;  // status, and enable in the second half
  u16 sci_line = 0;                 // the interrupt of the event registers
  Register pm1a_control, pm1b_control;
  Register sleep_control;
  Register reset;
  u8 reset_value = 0;
  u16 smi_command = 0;
  u8 acpi_enable = 0;
  // \_S5_ of the DSDT or of an SSDT: the values that turn this board off.
  bool has_s5 = false;
  u8 s5_a = 0, s5_b = 0;
};

// A unit that translates what devices read and write. Firmware may have left it on.
struct Iommu {
  enum class Kind : u8 { kIntel, kAmd };
  Kind kind;
  u64 registers;
};

// A table that the root names, for who lists them.
struct TableEntry {
  u64 address;
  u32 bytes;
  u8 revision;
  bool bad;  // one of those that are read, with a wrong sum or length
  char signature[4], oem[6], oem_table[8];
};

struct Tables {
  u64 local_apic = 0;           // 0 = not given
  StaticVector<u32, 256> cpus;  // APIC numbers, in the firmware's order
  // ARM's CPUs, GIC, timers and PSCI; on both architectures PCI's hosts, whose windows are in AML.
  boot::Hardware hardware;
  BootConsole console;  // of the SPCR
  StaticVector<IoApic, kMaxIoApics> io_apics;
  StaticVector<LineOverride, 16> overrides;
  StaticVector<Iommu, 32> iommus;       // a server has one for each root complex
  u64 hpet = 0;                         // 0 = none
  StaticVector<TableEntry, 64> listed;  // the first ones: machines have 10 to 40
  FixedHardware fixed;
  u32 bad_tables = 0;  // tables that were skipped for a wrong checksum or length
};

// Searches the places where a BIOS leaves the root pointer: the first KiB of the extended BIOS data
// area and 0xe0000..0xfffff (5.2.5.1). Other firmware than a PC's BIOS leaves nothing there, and
// these addresses may be a device's.
Result<u64> find_root_pointer(base::PhysicalView& memory);

// Follows the root pointer at `rsdp`. A damaged table is counted and skipped. Only a damaged root
// is an error. Firmware is seen that lists two tables of a kind: the first good one counts, and
// the CPUs of all MADTs.
Result<void> parse(base::PhysicalView& memory, u64 rsdp, Tables& out);

}  // namespace acpi
