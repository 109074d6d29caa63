// SPDX-License-Identifier: GPL-2.0-or-later
// The state of a CPU when a fault or interrupt came. interrupts.asm pushes it in this order.
#pragma once

#include "kernel/base/format.h"

namespace arch {

struct TrapFrame {
  u64 rbp, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rbx, rax;
  u64 vector, error;
  u64 rip, cs, rflags, rsp, ss;

  u64 program_counter() const { return rip; }
  u64 frame_pointer() const { return rbp; }
};

// Prints the registers as a panic shows them. Used while panicking.
void print_registers(const TrapFrame& frame, base::Writer& out);

// Returns where the interrupted function returns to if its frame does not say so: the call went
// nowhere, its first instructions have not run, or gcc gave it no frame because it calls nothing.
// Returns 0 if it has a frame. Used while panicking.
u64 frameless_caller(const TrapFrame& frame);

// Returns true if the word at `address` can be read without a fault. Any context.
bool is_readable(u64 address);

}  // namespace arch
