// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and writes system registers and registers of devices. Arm ARM DDI 0487, chapters D19 and
// B2.3.
#pragma once

#include "kernel/base/types.h"

// Read and write a system register by the assembler's name, as in READ_SYSTEM("midr_el1"), or by
// its encoding ("S3_0_C12_C12_0") if the assembler does not know it.
#define READ_SYSTEM(name)                                      \
  ({                                                           \
    u64 value_;                                                \
    asm volatile("mrs %0, " name : "=r"(value_) : : "memory"); \
    value_;                                                    \
  })
#define WRITE_SYSTEM(name, value) \
  ({ asm volatile("msr " name ", %0\n isb" : : "r"(static_cast<u64>(value)) : "memory"); })

namespace arch {

// Read and write a device register. Such an access orders nothing in ordinary memory (Arm ARM
// B2.3), so a barrier follows each read and precedes each write.
template <class T>
T read_device(u64 address) {
  T value = *reinterpret_cast<volatile T*>(address);
  asm volatile("dmb oshld" : : : "memory");
  return value;
}
template <class T>
void write_device(u64 address, T value) {
  asm volatile("dmb oshst" : : : "memory");
  *reinterpret_cast<volatile T*>(address) = value;
}

// Returns a field of an identification register, which has the four bits from `shift` on.
inline u32 feature_field(u64 value, u32 shift) {
  return static_cast<u32>(value >> shift & 15);
}

}  // namespace arch
