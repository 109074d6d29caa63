// SPDX-License-Identifier: GPL-2.0-or-later
// The virtual timer of each CPU.
#pragma once

#include "kernel/base/types.h"

namespace arch {

// Lets the counter's event stream end a WFE that nobody else ends. Of the calling CPU.
void init_cpu_timer();
// Is this the timer's interrupt? Then it has been silenced: it only ends a sleep.
bool take_timer(u32 number);

}  // namespace arch
