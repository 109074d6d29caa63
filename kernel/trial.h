// SPDX-License-Identifier: GPL-2.0-or-later
// The trial of a kernel that the boot loader has started for the first time. Until the kernel has
// proved itself, a panic, a hang and the end of its time reset the machine, and the loader starts
// the kernel before it (service/update/slots.h).
#pragma once

#include <string_view>

#include "kernel/base/types.h"

namespace trial {

// Reads the boot loader's command line before anything else does, so that an early panic counts.
// Called once, by the boot.
void look_at(std::string_view command_line);
// Starts a timer that interrupts the boot CPU even if it hangs. Needs the clock.
void start();
// Reads update.minutes=, when the configuration has been read.
void read_limit();

// True while this kernel has not proved itself. Any context.
bool on();
// Resets the machine if the time is over. Any context, on any CPU, NMI included.
void check();
// The kernel has proved itself.
void end();

u64 deadline_ns();  // of the machine's clock
std::string_view
slot();  // update.slot=: where the loader has found this kernel; "" = it did not say

}  // namespace trial
