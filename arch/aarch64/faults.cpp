// SPDX-License-Identifier: GPL-2.0-or-later
// The faults that only this architecture has, one function each. A division by zero is no fault on
// this CPU: its result is 0.
#include "kernel/fault.h"

namespace arch {
namespace {

// Uses an exclusive load, because an ordinary load need not be aligned in RAM.
[[gnu::noinline]] void fault_unaligned() {
  alignas(16) static constinit u8 room[48] = {};
  u64 value;
  asm volatile("ldxr %0, [%1]" : "=r"(value) : "r"(::faults::hidden(room + 1)) : "memory");
}

[[gnu::noinline]] void fault_undefined() {
  asm volatile("udf #0");
}

constexpr ::faults::Fault kFaults[] = {
    {"ud", "executes an undefined instruction", fault_undefined},
    {"unaligned", "loads exclusively from an odd address", fault_unaligned},
};

}  // namespace

std::span<const ::faults::Fault> faults() {
  return kFaults;
}

const u32 kReturnInstruction = 0xd65f03c0;  // ret

}  // namespace arch
