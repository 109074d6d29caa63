// SPDX-License-Identifier: GPL-2.0-or-later
// The page tables in use, leaf by leaf: nothing writable and executable, guards in place.
#include <arch/paging.h>
#include <arch/registers.h>

#include "kernel/base/memory.h"
#include "kernel/base/test.h"

extern "C" const Byte __kernel_start[], __text_end[], __rodata_end[], boot_stack_guard[];

namespace {

u64 at(const Byte* symbol) {
  return reinterpret_cast<u64>(symbol);
}

struct Walk {
  TestContext& test;
  u64 leaves = 0;
  u64 executable_bytes = 0;

  void fault(const arch::paging::Leaf& leaf, const char* what) {
    char text[128];
    test.report(__FILE__, __LINE__,
                base::format_into(text, "{:016x}+{:x}: {}", leaf.address, leaf.bytes, what));
  }
  void visit(const arch::paging::Leaf& leaf) {
    u64 end = leaf.address + leaf.bytes;
    bool in_text = leaf.address >= at(__kernel_start) && end <= at(__text_end);
    bool in_constants = leaf.address < at(__rodata_end) && end > at(__kernel_start);
    leaves++;
    if (leaf.executable) executable_bytes += leaf.bytes;
    if (leaf.user) fault(leaf, "open to user mode");
    if (leaf.writable && leaf.executable) fault(leaf, "writable and executable");
    if (leaf.executable && !in_text) fault(leaf, "executable outside the kernel's text");
    // A second way to the same memory would be a way around its protection.
    bool reaches_constants =
        leaf.physical < at(__rodata_end) && leaf.physical + leaf.bytes > at(__kernel_start);
    if (leaf.writable && (in_constants || reaches_constants))
      fault(leaf, "text or constants are writable");
    if (leaf.address < arch::paging::kPageBytes) fault(leaf, "page 0 is mapped");
  }
};

}  // namespace

TEST(paging, every_leaf_keeps_the_rules) {
  Walk walk{test};
  arch::paging::walk([](void* w, const auto& leaf) { static_cast<Walk*>(w)->visit(leaf); }, &walk);
  EXPECT(walk.leaves > 0);
  EXPECT_EQ(walk.executable_bytes, at(__text_end) - at(__kernel_start));
}

TEST(paging, guards_are_in_place) {
  EXPECT(arch::paging::is_guard(at(boot_stack_guard)));
  EXPECT(!arch::paging::is_mapped(at(boot_stack_guard)));
  EXPECT(arch::paging::is_mapped(at(boot_stack_guard) + arch::paging::kPageBytes));
  EXPECT(!arch::paging::is_mapped(0));
  EXPECT(!arch::paging::is_mapped(u64{1} << 63));
}

TEST(paging, a_page_can_be_taken_and_given_back) {
  constexpr u64 kPage = arch::paging::kPageBytes;
  void* memory = base::allocate(3 * kPage, kPage);
  REQUIRE(memory != nullptr);
  auto* bytes = static_cast<volatile u8*>(memory);
  u64 middle = reinterpret_cast<u64>(memory) + kPage;
  bytes[kPage] = 42;
  EXPECT(arch::paging::unmap_guard(middle).has_value());
  EXPECT(!arch::paging::is_mapped(middle));
  EXPECT(arch::paging::is_mapped(middle - kPage) && arch::paging::is_mapped(middle + kPage));
  bytes[0] = 1;  // the neighbours still work
  bytes[2 * kPage] = 1;
  EXPECT(arch::paging::map_guard(middle).has_value());
  EXPECT_EQ(bytes[kPage], 42);
  EXPECT(!arch::paging::map_guard(middle).has_value());
  base::deallocate(memory);
}

TEST(paging, protection_is_switched_on) {
  constexpr u64 kWriteProtect = 1 << 16, kNoExecute = 1 << 11;
  EXPECT((arch::read_cr0() & kWriteProtect) != 0);
  EXPECT((arch::read_msr(arch::msr::kEfer) & kNoExecute) != 0);
  // Of what CPUID offers, all: leaf 7 EBX 7 SMEP, 20 SMAP; ECX 2 UMIP.
  arch::CpuidResult seven = arch::cpuid(7);
  u64 cr4 = arch::read_cr4();
  EXPECT_EQ(cr4 >> 20 & 1, u64{seven.b >> 7 & 1});
  EXPECT_EQ(cr4 >> 21 & 1, u64{seven.b >> 20 & 1});
  EXPECT_EQ(cr4 >> 11 & 1, u64{seven.c >> 2 & 1});
}
