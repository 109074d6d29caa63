// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupt controller of each CPU (local APIC, x2APIC where there is one) and its timer.
#pragma once

#include "kernel/base/types.h"

namespace arch::apic {

// Vectors that are ours; devices get those below (kernel/irq/irq.h).
constexpr u32 kTimerVector = 0xf0, kWakeVector = 0xf1, kSpuriousVector = 0xff;

// Chooses the way to its registers; `base` is the firmware's word for where they are. CPU 0, once.
void init(u64 base);
// Opens the calling CPU's controller, everything masked.
void enable();

u32 id();  // of the calling CPU
void end_of_interrupt();
u32 first_unreachable();  // APIC numbers from here on: the first one is a message to all
bool is_x2apic();

void send_init(u32 apic_id);
void send_startup(u32 apic_id, u64 page);
void send_nmi(u32 apic_id);
void send_wake(u32 apic_id);

// The timer counts down at a rate of its own: start_count() and count_elapsed() let timer.cpp
// compare it with the cycle counter; set_timer_rate() takes the result, 32.32 fixed point.
void start_count();
u32 count_elapsed();
void set_timer_rate(u64 counts_per_tick_32_32);

}  // namespace arch::apic
