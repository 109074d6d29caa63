// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/fault.h"

namespace faults {
namespace {

[[gnu::noinline]] void fault_null_call() {
  hidden(reinterpret_cast<void (*)()>(u64{0}))();
}

[[gnu::noinline]] void fault_null_read() {
  volatile u64 value = *hidden(reinterpret_cast<volatile u64*>(u64{0x18}));
  hidden(u64{value});
}

// Each level uses a page of stack, so the guard page below cannot be skipped.
[[gnu::noinline]] u64 fault_stack_overflow_level(u64 depth) {
  if (depth == hidden(~u64{0})) return 0;  // never true, but the compiler wants an end
  volatile u8 room[2048];
  room[depth % sizeof room] = static_cast<u8>(depth);
  return fault_stack_overflow_level(depth + 1) + room[depth % sizeof room];
}
[[gnu::noinline]] void fault_stack_overflow() {
  hidden(fault_stack_overflow_level(hidden(u64{0})));
}

// Bit 63 alone: neither of a low address nor of a high one.
[[gnu::noinline]] void fault_non_canonical() {
  *hidden(reinterpret_cast<volatile u64*>(u64{0x8000'0000'0000'0000})) = 1;
}

[[gnu::noinline]] void fault_text_write() {
  *hidden(reinterpret_cast<volatile u8*>(&fault_null_call)) = 0x90;
}

[[gnu::noinline]] void fault_rodata_write() {
  static constexpr u8 kConstant[8] = {1};
  *hidden(const_cast<volatile u8*>(kConstant)) = 2;
}

[[gnu::noinline]] void fault_data_execution() {
  alignas(16) static constinit u32 code[4] = {};
  code[0] = arch::kReturnInstruction;
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
};

}  // namespace

std::span<const Fault> of_every_cpu() {
  return kFaults;
}

}  // namespace faults
