// SPDX-License-Identifier: GPL-2.0-or-later
// Identifies this CPU and its features, sets up its stacks, and lets it sleep and wait.
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/cpu_block.h"
#include "arch/aarch64/psci.h"
#include "arch/aarch64/timer.h"
#include "kernel/base/bytes.h"

extern "C" const Byte exception_vectors[];

namespace arch {
namespace {

constinit CpuBlock boot_block{};
constinit CpuFeatures features_found;

// Each feature is a field of an identification register (Arm ARM D19.2).
CpuFeatures read_features() {
  u64 isar0 = READ_SYSTEM("id_aa64isar0_el1"), isar1 = READ_SYSTEM("id_aa64isar1_el1"),
      pfr0 = READ_SYSTEM("id_aa64pfr0_el1");
  constexpr u32 kNoVectors = 15;
  const struct {
    CpuFeature feature;
    bool have;
  } kRows[] = {
      {CpuFeature::kNeon, feature_field(pfr0, 20) != kNoVectors},
      {CpuFeature::kNeonDotProd, feature_field(isar0, 44) != 0},
      {CpuFeature::kNeonI8mm, feature_field(isar1, 52) != 0},
      {CpuFeature::kRandom, feature_field(isar0, 60) != 0},
  };
  CpuFeatures features;
  for (const auto& row : kRows)
    if (row.have) features = features.with(row.feature);
  return features;
}

// Returns a number from RNDR. RNDR may have none for a moment, which the flags tell.
Result<u64> cpu_random() {
  constexpr u32 kTries = 64;
  u64 word;
  bool dry = true;
  for (u32 i = 0; features_found.has(CpuFeature::kRandom) && i < kTries; i++) {
    asm volatile("mrs %0, S3_3_C2_C4_0" : "=r"(word), "=@cceq"(dry));
    if (!dry) return word;
    Cpu::relax();
  }
  return fail(Errc::kUnsupported, "this CPU has no random numbers");
}

}  // namespace

CpuBlock& boot_cpu_block() {
  return boot_block;
}

std::array<const Byte*, 3> guards_of(const CpuBlock& block) {
  return {block.handler.guard, block.emergency.guard, block.main.guard};
}

Result<void> guard_stacks(CpuBlock& block) {
  for (const Byte* guard : guards_of(block)) TRY(paging::unmap_guard(reinterpret_cast<u64>(guard)));
  return {};
}

void load_cpu(CpuBlock& block) {
  block.local.emergency_stack = block.emergency.top();
  WRITE_SYSTEM("tpidr_el1", reinterpret_cast<u64>(&block.local));
  // EL1 can write SP_EL1 only as SP, while SPSel is 1.
  asm volatile("msr spsel, #1\n mov sp, %0\n msr spsel, #0"
               :
               : "r"(block.handler.top())
               : "memory");
  WRITE_SYSTEM("vbar_el1", reinterpret_cast<u64>(exception_vectors));
  asm volatile("msr daifclr, #4" : : : "memory");  // system errors are reported from here on
}

void init_boot_cpu(BootInfo& boot) {
  features_found = read_features();
  paging::init(boot);
  MUST(guard_stacks(boot_block));
  init_cpu_timer();
}

CpuFeatures Cpu::cpu_features() {
  return features_found;
}

Result<u64> Cpu::hardware_random() {
  if (auto word = cpu_random(); word.has_value()) return word;
  return psci::random();
}

u64 Cpu::random_seed() {
  return hardware_random().value_or(0) ^ (now_ticks() * 0x9e3779b97f4a7c15);
}

// The exclusive load arms the monitor, so WFE ends when another CPU writes to that line (Arm ARM
// D1.6.1). The event stream of timer.cpp ends it at the latest.
void Cpu::wait_while_equal(const std::atomic<u32>& word, u32 value, u64) {
  u32 now;
  asm volatile("ldaxr %w0, [%1]" : "=r"(now) : "r"(&word) : "memory");
  if (now == value) asm volatile("wfe" : : : "memory");
}

void Cpu::wait_for_interrupt() {
  disable_interrupts();
  CpuLocal& local = this_cpu();
  // WFI also ends for an interrupt that is pending but masked, so none is missed after the test.
  if (!local.interrupted.load(std::memory_order_relaxed))
    asm volatile("dsb sy\n wfi" : : : "memory");
  restore_interrupts(true);
  asm volatile("isb" : : : "memory");
  disable_interrupts();
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
  // context_switch restores these words: x19 to x30, then d8 to d15 (context.S).
  constexpr usize kWords = 20;
  stack_top = base::round_down(stack_top, 16);
  auto* stack = reinterpret_cast<u64*>(stack_top) - kWords;
  for (usize i = 0; i < kWords; i++) stack[i] = 0;
  stack[0] = reinterpret_cast<u64>(entry);
  stack[1] = reinterpret_cast<u64>(argument);
  stack[11] = reinterpret_cast<u64>(&context_start);
  to.stack_pointer = reinterpret_cast<u64>(stack);
}

CpuHealth read_health(const CpuHealth&) {
  return {};
}

}  // namespace arch
