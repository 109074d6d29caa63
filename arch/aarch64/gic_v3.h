// SPDX-License-Identifier: GPL-2.0-or-later
// The part of a GICv3 that the ITS must know.
#pragma once

#include "kernel/base/types.h"

namespace arch::gic {

// The registers by which CPU 0 hears of messages; 0 = there are none.
u64 boot_redistributor();

}  // namespace arch::gic
