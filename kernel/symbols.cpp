// SPDX-License-Identifier: GPL-2.0-or-later
// Looks up code addresses and walks frame pointers. scripts/gen_symbols.py defines the layout.
#include "kernel/symbols.h"

#include "kernel/arch_machine.h"
#include "kernel/base/bytes.h"
#include "kernel/log.h"

extern "C" const Byte __symbols_start[], __symbols_end[];
extern "C" const Byte __kernel_start[], __text_end[];

namespace symbols {
namespace {

constexpr u32 kSteps = 65536;  // most steps of a walk, for chains that form a circle
constexpr u32 kFrames = 32;    // most frames of a backtrace: deeper chains are recursion

struct Row {
  u32 address;  // from the kernel's first byte
  u32 name;
};

bool word_at(u64 address, u64& out) {
  if (address % sizeof out != 0 || !arch::is_readable(address)) return false;
  out = base::load<u64>(reinterpret_cast<const Byte*>(address));
  return true;
}

}  // namespace

bool in_text(u64 address) {
  return address >= reinterpret_cast<u64>(__kernel_start) &&
         address < reinterpret_cast<u64>(__text_end);
}

Symbol find(u64 address) {
  const Byte* table = __symbols_start;
  if (table == __symbols_end || !in_text(address)) return {nullptr, 0};
  address -= reinterpret_cast<u64>(__kernel_start);  // the image may lie anywhere
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
  if (place.frameless_caller != 0 && !room.empty()) {
    room[count++] = pc;
    pc = place.frameless_caller;
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

void log_chain(u32 cpu, std::span<const u64> chain) {
  log::warn("cpu", "cpu {} is in:", cpu);
  for (usize i = 0; i < chain.size(); i++) {
    char line[160];
    base::BufferWriter out(line);
    print_address(out, chain[i], i == 0 ? Position::kHere : Position::kReturn);
    log::warn("cpu", "{}", out.view());
  }
}

}  // namespace symbols
