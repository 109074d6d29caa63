// SPDX-License-Identifier: GPL-2.0-or-later
// What the ITS must know of a GICv3.
#pragma once

#include "kernel/base/types.h"

namespace arch::gic {

// The registers by which CPU 0 hears of messages; 0 = there are none.
u64 boot_redistributor();

}  // namespace arch::gic
