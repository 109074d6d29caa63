// SPDX-License-Identifier: GPL-2.0-or-later
// Lists the machine's CPUs and carries messages between them.
#pragma once

#include <arch/trap_frame.h>

#include <span>

#include "kernel/base/result.h"

namespace arch {
struct CpuBlock;
}

namespace arch::smp {

constexpr u32 kMaxCpus = 256;

// Sets the affinity numbers of all CPUs, in the firmware's order. The calling CPU becomes index 0.
// Called once, at boot.
void set_cpus(std::span<const u64> affinities);

// Returns the data of that CPU, or null before it was started. It is never freed. Any context.
const CpuBlock* block_of(u32 cpu);

// Handles a message from another CPU. Interrupt context.
void take_message(const TrapFrame& frame);

// Makes every other CPU that was started wait in its handler until the release. There it touches no
// memory but the image. Fails if one does not come within a second. Interrupts are off.
Result<void> hold_other_cpus();
void release_other_cpus();

}  // namespace arch::smp
