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

// The APIC numbers of all usable CPUs, in the firmware's order. The calling CPU becomes index 0.
void set_cpus(std::span<const u32> apic_ids);
// A page of RAM below 1 MiB where CPUs may begin; 0 = none, then there is only one CPU.
void set_trampoline(u64 page);

// What belongs to that CPU; null before it was started.
const CpuBlock* block_of(u32 cpu);

// Handles the messages that come as NMIs. False: it was none of ours.
bool take_nmi(const TrapFrame& frame);

}  // namespace arch::smp
