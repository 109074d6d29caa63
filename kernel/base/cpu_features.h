// SPDX-License-Identifier: GPL-2.0-or-later
// The CPU features that decide between kernel tables or that `cpu` shows. The arch layer fills them
// in at boot.
#pragma once

#include "kernel/base/types.h"

// A feature counts only when CPUID *and* the enabled vector state (XCR0) allow it.
enum class CpuFeature : u8 {
  kSsse3,
  kSse41,
  kAvx2,
  kF16c,
  kAvxVnni,  // VPDPBUSD on 256 bits, VEX form
  kAvx512,   // F, BW, VL and DQ together: no relevant CPU has only some of them
  kAvx512Vnni,
  kAvx512Vbmi,
  kWaitPkg,  // umonitor/umwait
  kRandom,
  kEmulated,  // an emulator such as QEMU's TCG, where different instructions are fast
  kNeon,
  kNeonDotProd,
  kNeonI8mm,
  kCount,
};

struct CpuFeatures {
  u64 bits = 0;

  constexpr bool has(CpuFeature f) const { return (bits >> static_cast<u32>(f) & 1) != 0; }
  constexpr bool has_all(CpuFeatures wanted) const { return (bits & wanted.bits) == wanted.bits; }
  constexpr CpuFeatures with(CpuFeature f) const { return {bits | u64{1} << static_cast<u32>(f)}; }
  constexpr bool operator==(const CpuFeatures&) const = default;
};

const char* cpu_feature_name(CpuFeature feature);
