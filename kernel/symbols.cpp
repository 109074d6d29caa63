// SPDX-License-Identifier: GPL-2.0-or-later
// Looks up code addresses and walks frame pointers. scripts/gen_symbols.py defines the layout.
#include "kernel/symbols.h"

#include "kernel/arch_machine.h"
#include "kernel/base/bytes.h"

extern "C" const Byte __symbols_start[], __symbols_end[];
extern "C" const Byte __kernel_start[], __text_end[];

namespace symbols {
namespace {

constexpr u32 kSteps = 65536;  // most steps of a walk, for chains that form a circle
constexpr u32 kFrames = 32;    // most frames of a backtrace: deeper chains are recursion

struct Row {
  u32 address;
  u32 name;
};

bool in_text(u64 address) {
  return address >= reinterpret_cast<u64>(__kernel_start) &&
         address < reinterpret_cast<u64>(__text_end);
}

bool word_at(u64 address, u64& out) {
  if (address % sizeof out != 0 || !arch::is_readable(address)) return false;
  out = base::load<u64>(reinterpret_cast<const Byte*>(address));
  return true;
}

// Returns true if a call instruction precedes this address: direct (E8 and 32 bits) or through a
// register or memory.
bool follows_call(u64 address) {
  if (!in_text(address) || !in_text(address - 7)) return false;
  const Byte* at = reinterpret_cast<const Byte*>(address);
  if (at[-5] == 0xe8) return true;
  for (i32 length = 2; length <= 7; length++)
    if (at[-length] == 0xff && (at[1 - length] & 0x38) == 0x10) return true;
  return false;
}

// Returns the caller of the function at `place` if that function has no frame on the stack: the
// call went nowhere, its first instructions have not run, or gcc gave it no frame because it calls
// nothing. The return address is then on top of the stack. Returns 0 if it has a frame.
u64 caller_without_frame(const Place& place) {
  constexpr Byte kPushRbp = 0x55;
  u64 caller = 0;
  if (place.stack_pointer == 0 || !word_at(place.stack_pointer, caller)) return 0;
  if (!in_text(place.pc)) return caller;
  u64 offset = find(place.pc).offset;
  bool makes_frame = *reinterpret_cast<const Byte*>(place.pc - offset) == kPushRbp;
  if (makes_frame && offset > 0) return 0;
  return follows_call(caller) ? caller : 0;
}

}  // namespace

Symbol find(u64 address) {
  const Byte* table = __symbols_start;
  if (table == __symbols_end || !in_text(address)) return {nullptr, 0};
  u32 count = base::load<u32>(table);
  const Byte* rows = table + sizeof count;
  const Byte* names = rows + count * sizeof(Row);
  u32 low = 0;  // the last row at or below `address` is in [low, high)
  u32 high = count;
  while (high - low > 1) {
    u32 middle = low + (high - low) / 2;
    if (base::load<Row>(rows + middle * sizeof(Row)).address <= address)
      low = middle;
    else
      high = middle;
  }
  if (count == 0) return {nullptr, 0};
  Row row = base::load<Row>(rows + low * sizeof(Row));
  if (row.address > address) return {nullptr, 0};
  return {reinterpret_cast<const char*>(names + row.name), address - row.address};
}

u32 capture(const Place& place, std::span<u64> room) {
  u32 count = 0;
  u64 pc = place.pc;
  u64 frame = place.frame_pointer;
  if (u64 caller = caller_without_frame(place); caller != 0 && !room.empty()) {
    room[count++] = pc;
    pc = caller;
  }
  // A frame is { caller's frame pointer, return address }, and the chain ends at zero. Of a
  // recursion only two equal lines are kept, so that the list reaches the function that began it.
  for (u32 steps = 0; steps < kSteps && count < room.size() && pc != 0; steps++) {
    bool again = count >= 2 && room[count - 1] == pc && room[count - 2] == pc;
    if (!again) room[count++] = pc;
    u64 caller = 0;
    if (frame == 0 || !word_at(frame + sizeof(u64), pc) || !word_at(frame, caller)) break;
    if (caller == frame) break;
    frame = caller;
  }
  return count;
}

void print_address(base::Writer& out, u64 address, Position position) {
  // A return address may be just after the caller's last instruction, so the call itself is looked
  // up.
  u64 back = position == Position::kReturn ? 1 : 0;
  Symbol symbol = find(address - back);
  if (symbol.name == nullptr) return base::format_to(out, "  {:016x} (not kernel code)", address);
  base::format_to(out, "  {:016x} {}+0x{:x}", address, symbol.name, symbol.offset + back);
}

void print_backtrace(base::Writer& out, const Place& place) {
  std::array<u64, kFrames> addresses;
  u32 count = capture(place, addresses);
  for (u32 i = 0; i < count; i++) {
    print_address(out, addresses[i], i == 0 ? Position::kHere : Position::kReturn);
    out.write("\n");
  }
}

}  // namespace symbols
