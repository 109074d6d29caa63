// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a flattened device tree: what the loader told (/chosen, memory) and the machine's parts.
// Devicetree Specification 0.4, chapter 3, and the bindings of Linux for GIC, PSCI and PCI hosts.
#pragma once

#include <span>

#include "boot/boot_info.h"
#include "boot/hardware.h"
#include "kernel/base/result.h"

namespace boot {

// Fills the command line, memory, the initial ramdisk as a module, the console, the random seed.
// Beside ACPI a loader passes a tree with /chosen alone, which has no memory.
Result<void> parse_device_tree(std::span<const Byte> blob, BootInfo& out);

// Fills what the tree's nodes describe. A node that breaks its binding is counted and skipped.
Result<void> parse_device_tree(std::span<const Byte> blob, Hardware& out);

}  // namespace boot
