// SPDX-License-Identifier: GPL-2.0-or-later
// Watches a boot CPU that has no other CPU to watch it: a timer raises an NMI, which is taken even
// with interrupts off.
#pragma once

#include <arch/trap_frame.h>

namespace arch::watch {

// Returns true if this NMI was the watch's own, and handles it. NMI context.
bool take_nmi(const TrapFrame& frame);

// Returns what the watch's NMI interrupted while it is being handled, otherwise null.
const TrapFrame* interrupted();

}  // namespace arch::watch
