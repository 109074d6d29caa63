// SPDX-License-Identifier: GPL-2.0-or-later
// The trial of a kernel that the boot loader has started for the first time. Until the kernel has
// proved itself, a panic, a hang and the end of its time reset the machine, and the loader starts
// the kernel before it (service/update/slots.h).
#pragma once

#include <string_view>

#include "kernel/trial_record.h"

struct BootInfo;

namespace trial {

// Reads the boot loader's command line before anything else does, so that an early panic counts.
// Called once, by the boot.
void look_at(std::string_view command_line);
// Finds the room for the record of this kernel's end, and reads what the kernel before it has left
// there. Called once, before pages are given out.
void read_record(const BootInfo& boot);
u64 room_for_record(const BootInfo& boot);  // an address, or 0
// As read_record() does with its room. Null = there is none.
void adopt_record(DeathRecord* room);
DeathRecord* record_room();  // null = none; nobody else may use its page
// Tells a boot CPU that works from one that hangs. Any context.
struct Pulse {
  u64 (*beat)();   // a number that rises when the CPU schedules
  bool (*idle)();  // it has nothing to do
};
// Starts a timer that interrupts the boot CPU even if it hangs. Needs the clock.
void start(const Pulse& of_boot_cpu);
// Reads update.minutes=, when the configuration has been read.
void read_limit();

// True while this kernel has not proved itself. Any context.
bool on();
// Resets the machine if the time is over. Any context, on any CPU, NMI included.
void check();
// Notes how a kernel on trial ends; of two notes the first counts. Any context.
void note_death(Death death, std::string_view reason);
// The kernel has proved itself.
void end();
// Returns how the kernel that ran before this one ended its trial; null = nothing is known.
const DeathRecord* last_death();

u64 deadline_ns();  // of the machine's clock
std::string_view
slot();  // update.slot=: where the loader has found this kernel; "" = it did not say

}  // namespace trial
