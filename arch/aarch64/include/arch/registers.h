// SPDX-License-Identifier: GPL-2.0-or-later
// System registers, and registers of devices. Arm ARM DDI 0487, chapter D19 and B2.3.
#pragma once

#include "kernel/base/types.h"

// By the assembler's name: READ_SYSTEM("midr_el1"), or "S3_0_C12_C12_0" for one it does not know.
#define READ_SYSTEM(name)                                      \
  ({                                                           \
    u64 value_;                                                \
    asm volatile("mrs %0, " name : "=r"(value_) : : "memory"); \
    value_;                                                    \
  })
#define WRITE_SYSTEM(name, value) \
  ({ asm volatile("msr " name ", %0\n isb" : : "r"(static_cast<u64>(value)) : "memory"); })

namespace arch {

// Device registers. Arm ARM B2.3: an access to one orders nothing that lies in ordinary memory, so
// a read is followed by, and a write preceded by, a barrier of its own.
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

// A field of an identification register: four bits from `shift` on.
inline u32 feature_field(u64 value, u32 shift) {
  return static_cast<u32>(value >> shift & 15);
}

}  // namespace arch
