// SPDX-License-Identifier: GPL-2.0-or-later
// Holds the state of a CPU when an exception came. vectors.S writes it in this order.
#pragma once

#include "kernel/base/format.h"

namespace arch {

struct TrapFrame {
  u64 x[31], sp;  // sp is the thread's, even if a handler was interrupted
  u64 elr, spsr, esr, far;
  u64 kind;        // the entry of vectors.S
  u64 handler_sp;  // the stack pointer of an interrupted handler

  u64 program_counter() const { return elr; }
  u64 frame_pointer() const { return x[29]; }
};
static_assert(sizeof(TrapFrame) == 304);

// Prints the registers as a panic shows them. Panic context.
void print_registers(const TrapFrame& frame, base::Writer& out);

// Returns where the interrupted function returns to if its frame does not say so, else 0. It has no
// frame if the call went nowhere, if its first instructions have not run, or if gcc gave it none
// because it calls no function. Panic context.
u64 frameless_caller(const TrapFrame& frame);

// Returns true if the word at `address` can be read without a fault. Any context.
bool is_readable(u64 address);

}  // namespace arch
