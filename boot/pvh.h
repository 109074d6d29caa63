// SPDX-License-Identifier: GPL-2.0-or-later
// The boot information of QEMU's `-kernel` and of Xen: "x86/HVM direct boot ABI", start_info.
#pragma once

#include "boot/boot_info.h"
#include "kernel/base/physical_view.h"

namespace boot {

constexpr u32 kPvhMagic = 0x336ec578;  // the structure's first word

// `info` is the physical address that the loader passed. Texts are not copied.
Result<void> parse_pvh(base::PhysicalView& memory, u64 info, BootInfo& out);

}  // namespace boot
