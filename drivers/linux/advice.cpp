// SPDX-License-Identifier: GPL-2.0-or-later
// Lists common devices that Marrow does not drive, with advice.
#include "drivers/linux/advice.h"

namespace linux_drivers {
namespace {

constexpr u32 kAny = 0;

// Advice by PCI class and subclass; the first row that matches is used.
struct Advice {
  u32 kind, vendor;
  const char* what;
  const char* advice;
};
constexpr Advice kAdvice[] = {
    {0x0200, kAny, "network card",
     "use one of Intel (82540 to I226), Realtek (8168, 8111, 8125) or virtio"},
    {0x0280, kAny, "wireless card", "use a cable"},
    {0x0d11, kAny, "wireless card", "use a cable"},
    {0x0104, 0x8086, "RAID controller (VMD or RST)",
     "it hides the disks behind it; set the controller to AHCI or NVMe in the firmware"},
    {0x0104, kAny, "RAID controller", "its disks are not seen; use AHCI, NVMe, virtio or pvscsi"},
    {0x0107, kAny, "SAS controller", "its disks are not seen; use AHCI, NVMe, virtio or pvscsi"},
    {0x0100, kAny, "SCSI controller", "its disks are not seen; use AHCI, NVMe, virtio or pvscsi"},
    {0x0101, kAny, "IDE controller", "set it to AHCI in the firmware, if its disks are wanted"},
    {0x0c03, kAny, "USB controller", "what hangs on it is not seen; xHCI (USB 3) works"},
};

struct Vendor {
  u32 id;
  const char* name;
};
constexpr Vendor kVendors[] = {
    {0x1000, "LSI"},     {0x1022, "AMD"},       {0x10de, "NVIDIA"},   {0x10ec, "Realtek"},
    {0x11ab, "Marvell"}, {0x1414, "Microsoft"}, {0x14c3, "MediaTek"}, {0x14e4, "Broadcom"},
    {0x15ad, "VMware"},  {0x15b3, "Mellanox"},  {0x168c, "Atheros"},  {0x17cb, "Qualcomm"},
    {0x1969, "Atheros"}, {0x1af4, "Red Hat"},   {0x1d6a, "Aquantia"}, {0x8086, "Intel"},
};
const char* name_of(u32 vendor) {
  for (const Vendor& row : kVendors)
    if (row.id == vendor) return row.name;
  return "an unknown maker";
}

}  // namespace

bool advise(const struct shim_binding& row, base::Writer& out) {
  if (std::string_view(row.driver) != "-") return false;
  for (const Advice& advice : kAdvice) {
    if (advice.kind != row.kind || (advice.vendor != kAny && advice.vendor != row.vendor)) continue;
    base::format_to(out, "{}: no driver for this {} of {} ({:04x}:{:04x}): {}\n", row.device,
                    advice.what, name_of(row.vendor), row.vendor, row.id, advice.advice);
    return true;
  }
  return false;
}

}  // namespace linux_drivers
