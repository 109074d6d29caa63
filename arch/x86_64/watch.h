// SPDX-License-Identifier: GPL-2.0-or-later
// The watch over a boot CPU that has no other CPU to watch it: a timer that raises an NMI, which
// comes through where interrupts are off.
#pragma once

#include <arch/trap_frame.h>

namespace arch::watch {

// Was this NMI the watch's own? Then it has been dealt with. NMI context.
bool take_nmi(const TrapFrame& frame);

// What the watch's NMI interrupted while it is being dealt with, else null.
const TrapFrame* interrupted();

}  // namespace arch::watch
