// SPDX-License-Identifier: GPL-2.0-or-later
// lspci: lists the machine's PCI functions.
#include "console/shell/command.h"
#include "kernel/pci/pci.h"

namespace console {
namespace {

// Names of PCI classes (PCI Code and ID Assignment, 1.x) that ordinary machines have. A subclass of
// 0xff matches any other.
struct ClassName {
  u8 code, subclass;
  const char* name;
};
constexpr u8 kAny = 0xff;
constexpr ClassName kClassNames[] = {
    {0x01, 0x00, "SCSI or virtio storage"},
    {0x01, 0x01, "IDE controller"},
    {0x01, 0x04, "RAID controller"},
    {0x01, 0x06, "SATA controller"},
    {0x01, 0x08, "NVMe disk"},
    {0x01, kAny, "storage"},
    {0x02, 0x00, "Ethernet"},
    {0x02, kAny, "network"},
    {0x03, kAny, "display"},
    {0x04, kAny, "sound or video"},
    {0x05, kAny, "memory"},
    {0x06, 0x00, "host bridge"},
    {0x06, 0x01, "ISA bridge"},
    {0x06, 0x04, "PCI bridge"},
    {0x06, kAny, "bridge"},
    {0x07, kAny, "serial port or modem"},
    {0x08, kAny, "system device"},
    {0x0c, 0x03, "USB controller"},
    {0x0c, 0x05, "SMBus"},
    {0x0c, kAny, "serial bus"},
    {0x0d, kAny, "wireless"},
    {0x12, kAny, "accelerator"},
};
const char* name_of(const pci::Device& device) {
  for (const ClassName& row : kClassNames)
    if (row.code == device.class_code && (row.subclass == device.subclass || row.subclass == kAny))
      return row.name;
  return "";
}

Result<void> run_lspci(const Arguments&, base::Writer& out) {
  for (const pci::Device& device : pci::devices()) {
    pci::print(device, out);
    base::format_to(out, " {}\n", name_of(device));
  }
  return {};
}
constexpr Command kLspci{"lspci", "lspci", "PCI functions: address, vendor and device, class",
                         run_lspci};
CONSOLE_COMMAND(kLspci);

}  // namespace
}  // namespace console
