// SPDX-License-Identifier: GPL-2.0-or-later
// The callers that the chain of frames leaves out. Intel SDM vol. 2, CALL and PUSH.
#include <arch/trap_frame.h>

#include "kernel/base/bytes.h"
#include "kernel/symbols.h"

namespace arch {
namespace {

// Is there a call before this address? Direct (E8 and 32 bits) or through a register or memory.
bool follows_call(u64 address) {
  if (!symbols::in_text(address) || !symbols::in_text(address - 7)) return false;
  const Byte* at = reinterpret_cast<const Byte*>(address);
  if (at[-5] == 0xe8) return true;
  for (i32 length = 2; length <= 7; length++)
    if (at[-length] == 0xff && (at[1 - length] & 0x38) == 0x10) return true;
  return false;
}

}  // namespace

// Without a frame the return address is on top of the stack.
u64 frameless_caller(const TrapFrame& frame) {
  constexpr Byte kPushRbp = 0x55;
  if (frame.rsp % sizeof(u64) != 0 || !is_readable(frame.rsp)) return 0;
  u64 caller = base::load<u64>(reinterpret_cast<const Byte*>(frame.rsp));
  if (!symbols::in_text(frame.rip)) return caller;
  u64 offset = symbols::find(frame.rip).offset;
  bool makes_frame = *reinterpret_cast<const Byte*>(frame.rip - offset) == kPushRbp;
  if (makes_frame && offset > 0) return 0;
  return follows_call(caller) ? caller : 0;
}

}  // namespace arch
