// SPDX-License-Identifier: GPL-2.0-or-later
// The page tables of x86_64, changed by hand.
#include "tests/kernel/machine/planting.h"

#include <arch/registers.h>

#include "arch/x86_64/descriptors.h"
#include "arch/x86_64/smp.h"
#include "kernel/base/test.h"

namespace planting {
namespace {

void flip(u64 page, u64 bits) {
  constexpr u64 kTableAddress = 0x000ffffffffff000;
  auto* table = reinterpret_cast<u64*>(arch::read_cr3() & kTableAddress);
  for (u32 shift = 39; shift > 12; shift -= 9)
    table = reinterpret_cast<u64*>(table[page >> shift & 511] & kTableAddress);
  table[page >> 12 & 511] ^= bits;
  arch::invalidate_page(page);
}

}  // namespace

void flip_no_execute(u64 page) {
  flip(page, u64{1} << 63);
}
void flip_user(u64 page) {
  flip(page, 1 << 2);
}

void each_guard(u32 cpu, void (*visit)(void*, u64), void* context) {
  const arch::CpuBlock* block = arch::smp::block_of(cpu);
  if (block == nullptr) return;
  for (const Byte* guard : arch::guards_of(*block)) visit(context, reinterpret_cast<u64>(guard));
}

}  // namespace planting

TEST(paging, protection_is_switched_on) {
  constexpr u64 kWriteProtect = 1 << 16, kNoExecute = 1 << 11;
  EXPECT((arch::read_cr0() & kWriteProtect) != 0);
  EXPECT((arch::read_msr(arch::msr::kEfer) & kNoExecute) != 0);
  // Every offered protection must be on. CPUID leaf 7 EBX 7 SMEP, 20 SMAP; ECX 2 UMIP.
  arch::CpuidResult seven = arch::cpuid(7);
  u64 cr4 = arch::read_cr4();
  EXPECT_EQ(cr4 >> 20 & 1, u64{seven.b >> 7 & 1});
  EXPECT_EQ(cr4 >> 21 & 1, u64{seven.b >> 20 & 1});
  EXPECT_EQ(cr4 >> 11 & 1, u64{seven.c >> 2 & 1});
}
