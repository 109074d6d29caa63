// SPDX-License-Identifier: GPL-2.0-or-later
// Holds one function for each fault. Tests look for its name in the report. A division by zero is
// no fault on this CPU: its result is 0.
#include <arch/faults.h>

#include <arch/cpu.h>

namespace arch {
namespace {

// Hides a value from the compiler, which would warn, or delete the fault as undefined.
template <class T>
T hidden(T value) {
  asm volatile("" : "+r"(value));
  return value;
}

[[gnu::noinline]] void fault_null_call() {
  hidden(reinterpret_cast<void (*)()>(u64{0}))();
}

[[gnu::noinline]] void fault_null_read() {
  volatile u64 value = *hidden(reinterpret_cast<volatile u64*>(u64{0x18}));
  hidden(u64{value});
}

// Each level keeps a page of stack, so the guard page below cannot be stepped over.
[[gnu::noinline]] u64 fault_stack_overflow_level(u64 depth) {
  if (depth == hidden(~u64{0})) return 0;  // never true, but the compiler wants to see an end
  volatile u8 room[2048];
  room[depth % sizeof room] = static_cast<u8>(depth);
  return fault_stack_overflow_level(depth + 1) + room[depth % sizeof room];
}
[[gnu::noinline]] void fault_stack_overflow() {
  hidden(fault_stack_overflow_level(hidden(u64{0})));
}

// Uses an exclusive load, because an ordinary load need not be aligned in RAM.
[[gnu::noinline]] void fault_unaligned() {
  alignas(16) static constinit u8 room[48] = {};
  u64 value;
  asm volatile("ldxr %0, [%1]" : "=r"(value) : "r"(hidden(room + 1)) : "memory");
}

[[gnu::noinline]] void fault_non_canonical() {
  *hidden(reinterpret_cast<volatile u64*>(u64{0x8000'0000'0000'0000})) = 1;
}

[[gnu::noinline]] void fault_undefined() {
  asm volatile("udf #0");
}

[[gnu::noinline]] void fault_text_write() {
  *hidden(reinterpret_cast<volatile u8*>(&fault_undefined)) = 0x90;
}

[[gnu::noinline]] void fault_rodata_write() {
  static constexpr u8 kConstant[8] = {1};
  *hidden(const_cast<volatile u8*>(kConstant)) = 2;
}

[[gnu::noinline]] void fault_data_execution() {
  alignas(16) static constinit u32 code[4] = {0xd65f03c0};  // ret
  hidden(reinterpret_cast<void (*)()>(code))();
}

[[gnu::noinline]] void fault_canary() {
  volatile u8 room[16] = {};
  volatile u8* at = hidden(static_cast<volatile u8*>(room));
  for (u32 i = 0; i < 64; i++) at[i] = 0xcc;
}

constexpr Fault kFaults[] = {
    {"canary", "runs over the end of a stack frame", fault_canary},
    {"non-canonical", "writes to an address that cannot exist", fault_non_canonical},
    {"null-call", "calls a null function pointer", fault_null_call},
    {"null-read", "reads a member of a null object", fault_null_read},
    {"nx-exec", "executes data", fault_data_execution},
    {"ro-write", "writes to a constant", fault_rodata_write},
    {"stack-overflow", "recurses without end", fault_stack_overflow},
    {"text-write", "writes to code", fault_text_write},
    {"ud", "executes an undefined instruction", fault_undefined},
    {"unaligned", "loads exclusively from an odd address", fault_unaligned},
};

}  // namespace

std::span<const Fault> faults() {
  return kFaults;
}

}  // namespace arch
