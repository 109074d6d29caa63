// SPDX-License-Identifier: GPL-2.0-or-later
// The page tables of ARM64, changed by hand. Rights may change in a live entry; nothing else may.
#include "tests/kernel/machine/planting.h"

#include <arch/registers.h>

#include "arch/aarch64/cpu_block.h"
#include "arch/aarch64/smp.h"
#include "kernel/base/test.h"

namespace planting {
namespace {

void flip(u64 page, u64 bits) {
  constexpr u64 kTableAddress = 0x0000'ffff'ffff'f000;
  auto* table = reinterpret_cast<u64*>(READ_SYSTEM("ttbr0_el1") & kTableAddress);
  for (u32 shift = 39; shift > 12; shift -= 9)
    table = reinterpret_cast<u64*>(table[page >> shift & 511] & kTableAddress);
  table[page >> 12 & 511] ^= bits;
  asm volatile("dsb ishst\n tlbi vaae1is, %0\n dsb ish\n isb"
               :
               : "r"(page >> 12 & 0xfff'ffff'ffff)
               : "memory");
}

}  // namespace

void flip_no_execute(u64 page) {
  flip(page, u64{1} << 53);
}
void flip_user(u64 page) {
  flip(page, 1 << 6);
}

void each_guard(u32 cpu, void (*visit)(void*, u64), void* context) {
  const arch::CpuBlock* block = arch::smp::block_of(cpu);
  if (block == nullptr) return;
  for (const Byte* guard : arch::guards_of(*block)) visit(context, reinterpret_cast<u64>(guard));
}

}  // namespace planting

TEST(paging, protection_is_switched_on) {
  u64 control = READ_SYSTEM("sctlr_el1");
  EXPECT((control >> 0 & 1) != 0);   // MMU
  EXPECT((control >> 3 & 1) != 0);   // stack alignment
  EXPECT((control >> 19 & 1) != 0);  // writable is never executable
}
