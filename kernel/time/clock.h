// SPDX-License-Identifier: GPL-2.0-or-later
// Monotonic time. Any context. (The namespace is `timing`, because libc owns the name `time`.)
#pragma once

#include "kernel/base/types.h"

namespace timing {

// Calibrates the cycle counter. `entry_ticks` is its value at the first instruction, which is ns 0.
void init(u64 entry_ticks);

u64 now_ns();                  // since the first instruction
u64 ticks_from_ns(u64 ns);     // a duration
u64 ns_from_ticks(u64 ticks);  // a duration
u64 ticks_at(u64 ns);          // the counter's value at that time
u64 ticks_per_second();
const char* calibration_source();  // "hpet", "pit", "acpi-pm", "cpuid", "host"

}  // namespace timing
