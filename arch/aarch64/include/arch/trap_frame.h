// SPDX-License-Identifier: GPL-2.0-or-later
// The state of a CPU when an exception came. Made by vectors.S, in its order.
#pragma once

#include "kernel/base/format.h"

namespace arch {

struct TrapFrame {
  u64 x[31], sp;  // of the thread, also where a handler was interrupted
  u64 elr, spsr, esr, far;
  u64 kind;        // the door, by vectors.S
  u64 handler_sp;  // the stack pointer of an interrupted handler

  u64 program_counter() const { return elr; }
  u64 frame_pointer() const { return x[29]; }
};
static_assert(sizeof(TrapFrame) == 304);

// The registers as a panic shows them. Panic context.
void print_registers(const TrapFrame& frame, base::Writer& out);

// Where the function that was interrupted returns to, when its frame does not say so: the call went
// nowhere, its first instructions have not run, or it is one that gcc gave no frame because it
// calls nobody. 0 = it has a frame. Panic context.
u64 frameless_caller(const TrapFrame& frame);

// May the word at `address` be read without a fault? Any context.
bool is_readable(u64 address);

}  // namespace arch
