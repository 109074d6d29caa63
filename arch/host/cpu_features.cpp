// SPDX-License-Identifier: GPL-2.0-or-later
// Detects the features of the host's CPU: CPUID, and for vector state XCR0 as the host's kernel set
// it.
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <fstream>
#include <string>

#include "kernel/arch_contract.h"

namespace arch {
#if defined(__x86_64__)
namespace {

struct Leaf {
  u32 a = 0, b = 0, c = 0, d = 0;
};
Leaf cpuid(u32 leaf, u32 subleaf) {
  Leaf r;
  if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

u64 xcr0() {
  u32 low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return u64{high} << 32 | low;
}

}  // namespace

// Bits: Intel SDM volume 2A, CPUID leaves 1, 7.0 and 7.1; XCR0: volume 1, 13.3.
CpuFeatures Cpu::cpu_features() {
  using enum CpuFeature;
  auto bit = [](u32 word, u32 n) { return (word >> n & 1) != 0; };
  Leaf one = cpuid(1, 0), seven = cpuid(7, 0), seven_one = cpuid(7, 1);
  u64 state = bit(one.c, 27) ? xcr0() : 0;
  bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6;
  bool avx512 = bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 30) && bit(seven.b, 31);
  const struct {
    CpuFeature feature;
    bool present;
  } rows[] = {
      {kSsse3, bit(one.c, 9)},
      {kSse41, bit(one.c, 19)},
      {kAvx2, ymm && bit(one.c, 28) && bit(seven.b, 5)},
      {kF16c, ymm && bit(one.c, 29)},
      {kAvxVnni, ymm && bit(seven_one.a, 4)},
      {kAvx512, zmm && avx512},
      {kAvx512Vnni, zmm && avx512 && bit(seven.c, 11)},
      {kAvx512Vbmi, zmm && avx512 && bit(seven.c, 1)},
      {kWaitPkg, bit(seven.c, 5)},
      {kRandom, bit(one.c, 30)},
      {kEmulated, bit(one.c, 31) && cpuid(0x40000000, 0).b == 0x54474354},  // "TCGT"
  };
  CpuFeatures features;
  for (const auto& row : rows)
    if (row.present) features = features.with(row.feature);
  return features;
}
#elif defined(__aarch64__)
// Bits of AT_HWCAP: Linux, Documentation/arm64/elf_hwcaps.rst.
CpuFeatures Cpu::cpu_features() {
  u64 bits = getauxval(AT_HWCAP);
  CpuFeatures features;
  if ((bits >> 1 & 1) != 0) features = features.with(CpuFeature::kNeon);          // ASIMD
  if ((bits >> 20 & 1) != 0) features = features.with(CpuFeature::kNeonDotProd);  // ASIMDDP
  return features;
}
#else
CpuFeatures Cpu::cpu_features() {
  return {};  // the portable reference tables run on every CPU
}
#endif

void describe_cpu(base::Writer& out) {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    base::format_to(out, "cpu: {}\n", std::string_view(line).substr(line.find(':') + 2));
    return;
  }
  out.write("cpu: of the host\n");
}

}  // namespace arch
