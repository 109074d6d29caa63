// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the virtual timer of each CPU.
#pragma once

#include "kernel/base/types.h"

namespace arch {

// Starts the calling CPU's event stream, which ends a WFE that nothing else ends.
void init_cpu_timer();
// Returns true if this is the timer's interrupt, and then stops the timer: the interrupt has done
// its work when it has ended a sleep. Interrupt context.
bool take_timer(u32 number);

}  // namespace arch
