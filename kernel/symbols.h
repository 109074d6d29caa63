// SPDX-License-Identifier: GPL-2.0-or-later
// Names for code addresses, from the table that scripts/gen_symbols.py links into the kernel.
#pragma once

#include "kernel/base/format.h"

namespace symbols {

struct Symbol {
  const char* name;  // nullptr: the address is not in kernel code
  u64 offset;        // bytes from the function's start
};

// Answer where an address lies. Any context, including a panic.
bool in_text(u64 address);
Symbol find(u64 address);

// The position of a flow of control.
struct Place {
  u64 pc;
  u64 frame_pointer;
  u64 frameless_caller = 0;  // as arch::frameless_caller() found it; 0 = the frames tell all
};

// Prints the call chain of `place`, one line per frame: "  0000000001001234 name+0x12". Follows
// frame pointers while they point to readable memory.
void print_backtrace(base::Writer& out, const Place& place);

// Copies up to `room.size()` return addresses of a chain, without printing. Returns how many.
u32 capture(const Place& place, std::span<u64> room);
// Prints "  0000000001001234 name+0x12". For a return address it names the call before it.
enum class Position : u8 { kHere, kReturn };
void print_address(base::Writer& out, u64 address, Position position);
// Logs the call chain of CPU `cpu` as warnings.
void log_chain(u32 cpu, std::span<const u64> chain);

}  // namespace symbols
