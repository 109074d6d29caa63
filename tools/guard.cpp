// SPDX-License-Identifier: GPL-2.0-or-later
// The stack canary that engine objects expect; the product's own is seeded in arch/host/main.cpp.
#include "kernel/base/types.h"

extern "C" {
extern u64 __stack_chk_guard;
u64 __stack_chk_guard = 0x746f6f6c73000aff;
}
