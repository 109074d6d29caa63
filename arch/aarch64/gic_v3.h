// SPDX-License-Identifier: GPL-2.0-or-later
// Declares the part of a GICv3 that the ITS must know.
#pragma once

#include "kernel/base/types.h"

namespace arch::gic {

// Returns the address of CPU 0's redistributor, which receives messages, or 0 if there is none.
u64 boot_redistributor();

}  // namespace arch::gic
