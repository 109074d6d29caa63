// SPDX-License-Identifier: GPL-2.0-or-later
// The faults that only this architecture has, one function each.
#include <arch/cpu.h>

#include "arch/x86_64/apic.h"
#include "kernel/fault.h"

namespace arch {
namespace {

using ::faults::hidden;

// In ring 0 only vector instructions require alignment.
[[gnu::noinline]] void fault_unaligned() {
  alignas(16) static constinit u8 room[48] = {};
  asm volatile("movaps (%0), %%xmm0" : : "r"(hidden(room + 1)) : "memory");
}

[[gnu::noinline]] void fault_divide() {
  u64 zero = hidden(u64{0});
  hidden(hidden(u64{1}) / zero);
}

[[gnu::noinline]] void fault_nmi() {
  apic::send_nmi(apic::id());
  for (u32 i = 0; i < 1'000'000; i++) Cpu::relax();  // the NMI takes a moment to arrive
}

[[gnu::noinline]] void fault_undefined() {
  asm volatile("ud2");
}

constexpr ::faults::Fault kFaults[] = {
    {"divide", "divides by zero", fault_divide},
    {"nmi", "sends this CPU a non-maskable interrupt", fault_nmi},
    {"ud", "executes an undefined instruction", fault_undefined},
    {"unaligned", "loads a vector from an odd address", fault_unaligned},
};

}  // namespace

std::span<const ::faults::Fault> faults() {
  return kFaults;
}

const u32 kReturnInstruction = 0xc3;  // ret

}  // namespace arch
