// SPDX-License-Identifier: GPL-2.0-or-later
// The function that an architecture calls when it hands over: without traps, and with the loader's
// page tables.
#pragma once

#include "boot/boot_info.h"

[[noreturn]] void kernel_main(BootInfo& boot);
