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

// Sets the APIC numbers of all usable CPUs, in the firmware's order. The calling CPU becomes index
// 0. Called once, at boot.
void set_cpus(std::span<const u32> apic_ids);
// Sets the page of RAM below 1 MiB where CPUs start. With 0 there is only one CPU. Called once, at
// boot.
void set_trampoline(u64 page);

// Returns the data of that CPU, or null before it was started. It is never freed. Any context.
const CpuBlock* block_of(u32 cpu);

// Handles messages that come as NMIs. Returns false if it was no message. NMI context.
bool take_nmi(const TrapFrame& frame);

}  // namespace arch::smp
