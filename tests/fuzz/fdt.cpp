// SPDX-License-Identifier: GPL-2.0-or-later
// Device trees as arbitrary bytes.
#include "boot/fdt.h"
#include "boot/device_tree.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  static BootInfo info;
  info = {};
  // Accepted results must be usable: ranges that do not wrap, text inside the input.
  if (boot::parse_device_tree({data, size}, info).has_value()) {
    for (const MemoryRange& range : info.memory) ASSERT(range.size <= ~range.base);
    for (const BootModule& module : info.modules) ASSERT(module.size <= ~module.base);
    ASSERT(info.command_line.size() <= size && info.random_seed.size() <= size);
  }
  static boot::Hardware hardware;
  hardware = {};
  if (boot::parse_device_tree({data, size}, hardware).has_value()) {
    for (const boot::PciHost& host : hardware.pci_hosts) {
      ASSERT(host.first_bus <= host.last_bus);
      for (const boot::PciWindow& window : host.windows) ASSERT(window.bytes <= ~window.address);
    }
  }
  return 0;
}
