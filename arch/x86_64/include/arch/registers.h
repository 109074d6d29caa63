// SPDX-License-Identifier: GPL-2.0-or-later
// Control registers, model-specific registers, CPUID. Intel SDM volumes 2, 3 and 4.
#pragma once

#include "kernel/base/types.h"

namespace arch {

struct CpuidResult {
  u32 a, b, c, d;
};
inline CpuidResult cpuid(u32 leaf, u32 subleaf = 0) {
  CpuidResult r{};
  asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
  return r;
}

inline u64 read_msr(u32 index) {
  u32 low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return u64{high} << 32 | low;
}
inline void write_msr(u32 index, u64 value) {
  asm volatile("wrmsr"
               :
               : "c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
               : "memory");
}

#define CONTROL_REGISTER(number)                                    \
  inline u64 read_cr##number() {                                    \
    u64 value;                                                      \
    asm volatile("mov %%cr" #number ", %0" : "=r"(value));          \
    return value;                                                   \
  }                                                                 \
  inline void write_cr##number(u64 value) {                         \
    asm volatile("mov %0, %%cr" #number : : "r"(value) : "memory"); \
  }
CONTROL_REGISTER(0)
CONTROL_REGISTER(2)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)
#undef CONTROL_REGISTER

inline u64 read_xcr0() {
  u32 low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return u64{high} << 32 | low;
}
inline void write_xcr0(u64 value) {
  asm volatile("xsetbv"
               :
               : "c"(0), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)));
}

inline void invalidate_page(u64 address) {
  asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

namespace msr {
constexpr u32 kApicBase = 0x1b;
constexpr u32 kTscDeadline = 0x6e0;
constexpr u32 kPat = 0x277;
constexpr u32 kX2ApicBase = 0x800;
constexpr u32 kEfer = 0xc0000080;
constexpr u32 kGsBase = 0xc0000101;
}  // namespace msr

}  // namespace arch
