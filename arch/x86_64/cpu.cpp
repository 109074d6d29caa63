// SPDX-License-Identifier: GPL-2.0-or-later
// Detects and enables this CPU's features: protection bits, vector state. Intel SDM vol. 1, ch. 13.
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/x86_64/cpu_state.h"
#include "arch/x86_64/descriptors.h"
#include "kernel/base/bytes.h"

namespace arch {
namespace {

// CR4 bits. Each is set only if CPUID has it.
constexpr u64 kCr4Umip = 1 << 11, kCr4Xsave = 1 << 18, kCr4Smep = 1 << 20, kCr4Smap = 1 << 21;
// XCR0 state components.
constexpr u64 kX87 = 1 << 0, kSse = 1 << 1, kAvx = 1 << 2, kAvx512 = 7 << 5;

constexpr u32 kDefaultMxcsr = 0x1f80;  // all exceptions masked, round to nearest, denormals kept

constexpr u32 kTcgName = 0x54474354;  // "TCGT", of "TCGTCGTCGTCG"

constexpr bool bit(u32 word, u32 number) {
  return (word >> number & 1) != 0;
}

CpuidResult structured(u32 subleaf) {
  return cpuid(0).a >= 7 ? cpuid(7, subleaf) : CpuidResult{};
}

void init_vector_state() {
  u32 mxcsr = kDefaultMxcsr;
  asm volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
  // Without the leaf that lists its components XSAVE cannot be used (firmware may limit CPUID for
  // old systems). The CPU then runs with SSE.
  constexpr u32 kStateLeaf = 0xd;
  if (!bit(cpuid(1).c, 26) || cpuid(0).a < kStateLeaf) return;
  write_cr4(read_cr4() | kCr4Xsave);
  u64 offered = cpuid(kStateLeaf).a;
  u64 wanted = kX87 | kSse;
  if ((offered & kAvx) != 0) wanted |= kAvx;
  // The three AVX-512 components are enabled only together, and only with AVX.
  if ((offered & kAvx) != 0 && (offered & kAvx512) == kAvx512) wanted |= kAvx512;
  write_xcr0(wanted);
}

CpuFeatures read_features() {
  CpuidResult one = cpuid(1);
  CpuidResult seven = structured(0);
  CpuidResult seven1 = seven.a >= 1 ? structured(1) : CpuidResult{};
  u64 state = bit(one.c, 27) ? read_xcr0() : 0;
  bool avx = bit(one.c, 28) && (state & (kSse | kAvx)) == (kSse | kAvx);
  bool avx512 = avx && (state & kAvx512) == kAvx512 && bit(seven.b, 16) && bit(seven.b, 17) &&
                bit(seven.b, 30) && bit(seven.b, 31);  // F, DQ, BW, VL
  const struct {
    CpuFeature feature;
    bool have;
  } kRows[] = {
      {CpuFeature::kSsse3, bit(one.c, 9)},
      {CpuFeature::kSse41, bit(one.c, 19)},
      // the tables use it together with FMA
      {CpuFeature::kAvx2, avx && bit(seven.b, 5) && bit(one.c, 12)},
      {CpuFeature::kF16c, avx && bit(one.c, 29)},
      {CpuFeature::kAvxVnni, avx && bit(seven1.a, 4)},
      {CpuFeature::kAvx512, avx512},
      {CpuFeature::kAvx512Vnni, avx512 && bit(seven.c, 11)},
      {CpuFeature::kAvx512Vbmi, avx512 && bit(seven.c, 1)},
      {CpuFeature::kWaitPkg, bit(seven.c, 5)},
      {CpuFeature::kRandom, bit(one.c, 30)},
      {CpuFeature::kEmulated, bit(one.c, 31) && cpuid(0x40000000).b == kTcgName},
  };
  CpuFeatures features;
  for (const auto& row : kRows)
    if (row.have) features = features.with(row.feature);
  return features;
}

constinit CpuFeatures features_found;

}  // namespace

void init_cpu_state() {
  CpuidResult seven = structured(0);
  u64 cr4 = read_cr4();
  if (bit(seven.b, 7)) cr4 |= kCr4Smep;
  if (bit(seven.b, 20)) cr4 |= kCr4Smap;
  if (bit(seven.c, 2)) cr4 |= kCr4Umip;
  write_cr4(cr4);
  init_vector_state();
}

void init_boot_cpu(BootInfo& boot) {
  load_descriptors(boot_cpu_block());
  init_interrupt_table();
  init_cpu_state();
  features_found = read_features();
  paging::init(boot);
  MUST(guard_stacks(boot_cpu_block()));
}

CpuFeatures Cpu::cpu_features() {
  return features_found;
}

// Uses RDSEED if the CPU has it, otherwise RDRAND. Either may be empty for a moment (SDM vol. 1,
// 7.3.17.1).
Result<u64> Cpu::hardware_random() {
  constexpr u32 kTries = 64;
  bool has_seed = bit(structured(0).b, 18), has_random = bit(cpuid(1).c, 30);
  u64 word;
  bool good = false;
  for (u32 i = 0; has_seed && i < kTries; i++) {
    asm volatile("rdseed %0" : "=r"(word), "=@ccc"(good));
    if (good) return word;
    relax();
  }
  for (u32 i = 0; has_random && i < kTries; i++) {
    asm volatile("rdrand %0" : "=r"(word), "=@ccc"(good));
    if (good) return word;
  }
  return fail(Errc::kUnsupported, "this CPU has no random numbers");
}

u64 Cpu::random_seed() {
  return hardware_random().value_or(0) ^ (now_ticks() * 0x9e3779b97f4a7c15);
}

void Cpu::wait_while_equal(const std::atomic<u32>& word, u32 value, u64 deadline_ticks) {
  if (features_found.has(CpuFeature::kWaitPkg)) {
    const void* line = &word;
    asm volatile("umonitor %0" : : "r"(line) : "memory");
    if (word.load(std::memory_order_relaxed) != value) return;
    constexpr u32 kShallow = 1;  // C0.1: wakes faster than it saves
    asm volatile("umwait %0"
                 :
                 : "r"(kShallow), "a"(static_cast<u32>(deadline_ticks)),
                   "d"(static_cast<u32>(deadline_ticks >> 32))
                 : "cc", "memory");
    return;
  }
  constexpr u32 kSpins = 64;
  for (u32 i = 0; i < kSpins && word.load(std::memory_order_relaxed) == value; i++) relax();
}

void Cpu::wait_for_interrupt() {
  disable_interrupts();
  CpuLocal& local = this_cpu();
  // sti takes effect after the next instruction, so no interrupt comes between the two.
  if (!local.interrupted.load(std::memory_order_relaxed)) asm volatile("sti; hlt" : : : "memory");
  local.interrupted.store(false, std::memory_order_relaxed);
  restore_interrupts(true);
}

Result<void> Cpu::guard_page(void* page) {
  return paging::unmap_guard(reinterpret_cast<u64>(page));
}

void Cpu::unguard_page(void* page) {
  MUST(paging::map_guard(reinterpret_cast<u64>(page)));
}

void Cpu::init_context(Context& to, u64 stack_top, void (*entry)(void*), void* argument) {
  // context_switch pops these: r15, r14, r13, r12, rbp, rbx, return address (context.asm).
  stack_top = base::round_down(stack_top, 16);
  auto* stack = reinterpret_cast<u64*>(stack_top) - 7;
  stack[0] = stack[1] = stack[4] = stack[5] = 0;
  stack[2] = reinterpret_cast<u64>(argument);
  stack[3] = reinterpret_cast<u64>(entry);
  stack[6] = reinterpret_cast<u64>(&context_start);
  to.stack_pointer = reinterpret_cast<u64>(stack);
}

}  // namespace arch
