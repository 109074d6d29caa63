// SPDX-License-Identifier: GPL-2.0-or-later
// Calls the firmware by the instruction that it answers to.
#include "arch/aarch64/psci.h"

#include <arch/cpu.h>

#include "arch/aarch64/platform.h"

namespace arch {
namespace psci {
namespace {

constexpr u64 kCpuOn = 0xc400'0003, kSystemOff = 0x8400'0008, kSystemReset = 0x8400'0009;
constexpr u64 kRandomVersion = 0x8400'0050, kRandom64 = 0xc400'0053;

constinit boot::Conduit conduit = boot::Conduit::kNone;

struct Answer {
  u64 x0, x1, x2, x3;
};

// SMCCC 2.5: x4 to x17 may be lost under the oldest version of the convention.
#define OPERANDS_OF_CALL                                                                        \
  : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                                                 \
  :                                                                                        \
  : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", \
    "memory"
Answer call(u64 function, u64 a = 0, u64 b = 0, u64 c = 0) {
  register u64 x0 asm("x0") = function;
  register u64 x1 asm("x1") = a;
  register u64 x2 asm("x2") = b;
  register u64 x3 asm("x3") = c;
  constexpr u64 kNotSupported = ~u64{0};
  if (conduit == boot::Conduit::kNone) return {kNotSupported, 0, 0, 0};
  if (conduit == boot::Conduit::kHvc)
    asm volatile("hvc #0" OPERANDS_OF_CALL);
  else
    asm volatile("smc #0" OPERANDS_OF_CALL);
  return {x0, x1, x2, x3};
}
#undef OPERANDS_OF_CALL

bool failed(u64 x0) {
  return static_cast<i32>(x0) < 0;
}

}  // namespace

void init(boot::Conduit way) {
  conduit = way;
}

Result<void> start_cpu(u64 affinity, u64 entry, u64 argument) {
  if (failed(call(kCpuOn, affinity, entry, argument).x0))
    return fail(Errc::kIo, "the firmware did not start the CPU");
  return {};
}

void power_off() {
  call(kSystemOff);
}

void reset() {
  call(kSystemReset);
}

Result<u64> random() {
  constexpr u32 kBits = 64, kTries = 16;
  if (!failed(call(kRandomVersion).x0))
    for (u32 i = 0; i < kTries; i++) {
      Answer answer = call(kRandom64, kBits);
      if (!failed(answer.x0)) return answer.x3;
    }
  return fail(Errc::kUnsupported, "neither CPU nor firmware has random numbers");
}

}  // namespace psci

namespace {

// Ends the emulator with `code` as its exit status, by SYS_EXIT_EXTENDED (Arm semihosting, 7.3).
// Elsewhere the instruction is undefined, so only the option exit=semihosting leads here.
void exit_emulator(u32 code) {
  constexpr u64 kExitExtended = 0x20, kApplicationExit = 0x20026;
  const u64 block[2] = {kApplicationExit, code};
  register u64 x0 asm("x0") = kExitExtended;
  register const u64* x1 asm("x1") = block;
  asm volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
}

}  // namespace

void Cpu::power_off(u32 code) {
  disable_interrupts();
  if (exits_by_semihosting()) exit_emulator(code);
  psci::power_off();
}

void Cpu::reboot() {
  disable_interrupts();
  psci::reset();
}

}  // namespace arch
