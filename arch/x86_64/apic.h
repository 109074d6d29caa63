// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupt controller of each CPU (local APIC, or x2APIC if the CPU has it) and its timer.
#pragma once

#include "kernel/base/types.h"

namespace arch::apic {

// Vectors of this controller. Devices get those below (kernel/irq/irq.h).
constexpr u32 kTimerVector = 0xf0, kWakeVector = 0xf1, kSpuriousVector = 0xff;

// Chooses how to reach the registers; `base` is their address according to the firmware. CPU 0,
// called once.
void init(u64 base);
// Enables the calling CPU's controller with everything masked.
void enable();

u32 id();  // of the calling CPU
void end_of_interrupt();
u32 first_unreachable();  // APIC numbers from here on: the first one is a message to all
bool is_x2apic();

void send_init(u32 apic_id);
void send_startup(u32 apic_id, u64 page);
void send_nmi(u32 apic_id);
void send_wake(u32 apic_id);

// The timer counts down at its own rate. start_count() and count_elapsed() let timer.cpp compare it
// with the cycle counter, and set_timer_rate() takes the result in 32.32 fixed point.
void start_count();
u32 count_elapsed();
void set_timer_rate(u64 counts_per_tick_32_32);

}  // namespace arch::apic
