// SPDX-License-Identifier: GPL-2.0-or-later
// Finds callers that the chain of frames leaves out, because gcc gives no frame to a function that
// calls none. Arm ARM C6.2: encodings of BL, BLR, and of the two ways in which a prologue sets x29.
#include <arch/trap_frame.h>

#include "kernel/base/bytes.h"
#include "kernel/symbols.h"

namespace arch {
namespace {

u32 instruction_at(u64 address) {
  return base::load<u32>(reinterpret_cast<const Byte*>(address));
}

bool follows_call(u64 address) {
  if (address % 4 != 0 || !symbols::in_text(address - 4)) return false;
  u32 word = instruction_at(address - 4);
  return (word & 0xfc000000) == 0x94000000 || (word & 0xfffffc1f) == 0xd63f0000;
}

// `add x29, sp, #n`; `mov x29, sp` is the same with n = 0.
bool sets_frame(u32 word) {
  return (word & 0xff8003ff) == 0x910003fd;
}

}  // namespace

// The return address is in x30 until x29 is set.
u64 frameless_caller(const TrapFrame& frame) {
  u64 caller = frame.x[30];
  if (!symbols::in_text(frame.elr)) return caller;
  u64 begin = frame.elr - symbols::find(frame.elr).offset;
  for (u64 at = begin; at < frame.elr; at += 4)
    if (sets_frame(instruction_at(at))) return 0;
  return follows_call(caller) ? caller : 0;
}

}  // namespace arch
