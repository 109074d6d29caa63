// SPDX-License-Identifier: GPL-2.0-or-later
// Reads temperature and effective clock rate. Intel SDM vol. 3, 15.8.4 (digital thermal sensor) and
// 15.2 (APERF and MPERF, which AMD has, too).
#include <arch/cpu.h>
#include <arch/registers.h>

#include "kernel/arch_contract.h"

namespace arch {
namespace {

constexpr u32 kThermalStatus = 0x19c, kTemperatureTarget = 0x1a2, kMperf = 0xe7, kAperf = 0xe8;
constexpr u32 kThermalLeaf = 6;

// Bits 22:16 have the degrees below the target, valid with bit 31; bits 23:16 of the other register
// have the target. CPUs with a package sensor (CPUID.6 EAX bit 6) have both registers.
u32 read_celsius(u32 features) {
  constexpr u32 kPackageSensor = 1 << 6;
  if ((features & kPackageSensor) == 0) return 0;
  u64 status = read_msr(kThermalStatus);
  if ((status >> 31 & 1) == 0) return 0;
  u32 target = static_cast<u32>(read_msr(kTemperatureTarget) >> 16 & 0xff);
  u32 below = static_cast<u32>(status >> 16 & 0x7f);
  return target > below ? target - below : 0;
}

}  // namespace

CpuHealth read_health(const CpuHealth& before) {
  CpuHealth now;
  if (cpuid(0).a < kThermalLeaf) return now;
  CpuidResult leaf = cpuid(kThermalLeaf);
  bool intel = cpuid(0).b == 0x756e6547;  // "Genu"
  if (intel) now.celsius = read_celsius(leaf.a);
  if ((leaf.c & 1) == 0) return now;
  now.actual = read_msr(kAperf);
  now.nominal = read_msr(kMperf);
  u64 passed = now.nominal - before.nominal;
  u64 base_mhz = Cpu::tick_rate().per_second / 1'000'000;
  // A minute between two calls is 2^39 cycles, so the product fits.
  if (before.nominal != 0 && passed > 0)
    now.megahertz = static_cast<u32>((now.actual - before.actual) * base_mhz / passed);
  return now;
}

}  // namespace arch
