// SPDX-License-Identifier: GPL-2.0-or-later
// Where an architecture hands over, in the loader's world: no traps, early page tables.
#pragma once

#include "boot/boot_info.h"

[[noreturn]] void kernel_main(BootInfo& boot);
