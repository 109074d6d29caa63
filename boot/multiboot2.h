// SPDX-License-Identifier: GPL-2.0-or-later
// GRUB's boot information. Multiboot2 Specification 2.0, section 3.6.
#pragma once

#include <span>

#include "boot/boot_info.h"
#include "kernel/base/result.h"

namespace boot {

constexpr u32 kMultiboot2Magic = 0x36d76289;  // in eax at entry

// `info` is the whole structure (its first word is its length). Texts are not copied. A tag that
// violates its own format ends the parse with kCorrupt; unknown tags are skipped.
Result<void> parse_multiboot2(std::span<const Byte> info, BootInfo& out);

}  // namespace boot
