// SPDX-License-Identifier: GPL-2.0-or-later
// The page tables in use, leaf by leaf: nothing writable and executable, guards in place.
#include <arch/cpu.h>
#include <arch/paging.h>

#include "kernel/base/memory.h"
#include "kernel/base/test.h"
#include "kernel/sched/thread.h"
#include "tests/kernel/machine/planting.h"

extern "C" const Byte __kernel_start[], __code_start[], __text_end[], __rodata_end[],
    boot_stack_guard[];

namespace {

u64 at(const Byte* symbol) {
  return reinterpret_cast<u64>(symbol);
}

// Walks the tables in use; keeps the first fault in words.
class Audit {
 public:
  Audit() {
    arch::paging::walk([](void* a, const auto& leaf) { static_cast<Audit*>(a)->visit(leaf); },
                       this);
    guard(at(boot_stack_guard));
    for (u32 cpu = 0; cpu < arch::Cpu::cpu_count(); cpu++)
      planting::each_guard(
          cpu, [](void* a, u64 page) { static_cast<Audit*>(a)->guard(page); }, this);
    sched::for_each_stack(
        [](void* a, std::span<const Byte> stack) {
          static_cast<Audit*>(a)->guard(at(stack.data()));
        },
        this);
  }
  u64 leaves = 0, guards = 0, executable_bytes = 0;
  u32 faults = 0;
  std::string_view first_fault() const { return {first_, first_size_}; }

 private:
  void fault(u64 address, const char* what) {
    if (faults++ == 0) first_size_ = base::format_into(first_, "{:016x}: {}", address, what).size();
  }
  void guard(u64 page) {
    guards++;
    if (!arch::paging::is_guard(page)) fault(page, "a guard page is missing");
    if (!arch::paging::is_mapped(page + arch::paging::kPageBytes))
      fault(page, "no stack above the guard page");
  }
  void visit(const arch::paging::Leaf& leaf) {
    u64 end = leaf.address + leaf.bytes;
    bool in_text = leaf.address >= at(__kernel_start) && end <= at(__text_end);
    bool in_constants = leaf.address < at(__rodata_end) && end > at(__kernel_start);
    leaves++;
    if (leaf.executable) executable_bytes += leaf.bytes;
    if (leaf.user) fault(leaf.address, "open to user mode");
    if (leaf.writable && leaf.executable) fault(leaf.address, "writable and executable");
    if (leaf.executable && !in_text) fault(leaf.address, "executable outside the kernel's text");
    // A second way to the same memory would be a way around its protection.
    bool reaches_constants =
        leaf.physical < at(__rodata_end) && leaf.physical + leaf.bytes > at(__kernel_start);
    if (leaf.writable && (in_constants || reaches_constants))
      fault(leaf.address, "text or constants are writable");
    if (leaf.address < arch::paging::kPageBytes) fault(leaf.address, "page 0 is mapped");
  }

  char first_[96] = {};
  usize first_size_ = 0;
};

void expect_clean(TestContext& test) {
  Audit audit;
  if (audit.faults > 0) test.report(__FILE__, __LINE__, audit.first_fault());
}

// A page of the heap with an entry of its own in the tables, to plant faults in.
class PlantedPage {
 public:
  PlantedPage() : memory_(base::allocate(2 * kBytes, kBytes)) {
    address = reinterpret_cast<u64>(memory_);
    ok = memory_ != nullptr && arch::paging::unmap_guard(address).has_value() &&
         arch::paging::map_guard(address).has_value();
  }
  ~PlantedPage() { base::deallocate(memory_); }
  PlantedPage(const PlantedPage&) = delete;
  PlantedPage& operator=(const PlantedPage&) = delete;

  u64 address = 0;
  bool ok = false;

 private:
  static constexpr u64 kBytes = arch::paging::kPageBytes;
  void* memory_;
};

}  // namespace

TEST(paging, every_leaf_keeps_the_rules) {
  Audit audit;
  if (audit.faults > 0) test.report(__FILE__, __LINE__, audit.first_fault());
  EXPECT(audit.leaves > 0);
  EXPECT(audit.guards >= 4);
  EXPECT_EQ(audit.executable_bytes, at(__text_end) - at(__code_start));
}

TEST(paging, a_planted_writable_and_executable_page_is_found) {
  PlantedPage page;
  REQUIRE(page.ok);
  expect_clean(test);
  planting::flip_no_execute(page.address);
  Audit audit;
  planting::flip_no_execute(page.address);
  EXPECT(audit.faults > 0);
  EXPECT(audit.first_fault().ends_with("writable and executable"));
  expect_clean(test);
}

TEST(paging, a_planted_page_for_user_mode_is_found) {
  PlantedPage page;
  REQUIRE(page.ok);
  planting::flip_user(page.address);
  Audit audit;
  planting::flip_user(page.address);
  EXPECT(audit.first_fault().ends_with("open to user mode"));
  expect_clean(test);
}

TEST(paging, a_missing_guard_is_found) {
  auto take_away = [](void* context, u64 guard) {
    TestContext& test = *static_cast<TestContext*>(context);
    REQUIRE(arch::paging::map_guard(guard).has_value());
    Audit audit;
    EXPECT(arch::paging::unmap_guard(guard).has_value());
    EXPECT(audit.faults > 0);
    EXPECT(audit.first_fault().ends_with("a guard page is missing"));
  };
  planting::each_guard(0, take_away, &test);
  expect_clean(test);
}

TEST(paging, guards_are_in_place) {
  EXPECT(arch::paging::is_guard(at(boot_stack_guard)));
  EXPECT(!arch::paging::is_mapped(at(boot_stack_guard)));
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
