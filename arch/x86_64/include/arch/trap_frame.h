// SPDX-License-Identifier: GPL-2.0-or-later
// What a CPU was doing when a fault or interrupt came. Made by interrupts.asm, in its order.
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

// The registers as a panic shows them. Panic context.
void print_registers(const TrapFrame& frame, base::Writer& out);

// Where the function that was interrupted returns to, when its frame does not say so: the call went
// nowhere, its first instructions have not run, or it is one that gcc gave no frame because it
// calls nobody. 0 = it has a frame. Panic context.
u64 frameless_caller(const TrapFrame& frame);

// May the word at `address` be read without a fault? Any context.
bool is_readable(u64 address);

}  // namespace arch
