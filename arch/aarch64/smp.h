// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's CPUs: who they are, and the messages between them.
#pragma once

#include <arch/trap_frame.h>

#include <span>

#include "kernel/base/result.h"

namespace arch {
struct CpuBlock;
}

namespace arch::smp {

constexpr u32 kMaxCpus = 256;

// The affinity numbers of all CPUs, in the firmware's order. The calling CPU becomes index 0.
void set_cpus(std::span<const u64> affinities);

// Returns the block of that CPU, null before it was started.
const CpuBlock* block_of(u32 cpu);

// A message from another CPU. Interrupt context.
void take_message(const TrapFrame& frame);

// Every other CPU that was started waits in its handler, touching no memory but the image, until
// the release. An error when one does not come within a second. Interrupts are off.
Result<void> hold_other_cpus();
void release_other_cpus();

}  // namespace arch::smp
