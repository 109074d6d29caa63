// SPDX-License-Identifier: GPL-2.0-or-later
// A 2 MiB block of RAM becomes pages while another CPU works in it.
#include <arch/cpu.h>
#include <arch/paging.h>

#include <atomic>

#include "kernel/base/test.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/worker_pool.h"

namespace {

struct Look {
  u64 address;
  u64 bytes = 0;
};
// How much the entry that maps `address` maps.
u64 leaf_bytes(u64 address) {
  Look look{address};
  arch::paging::walk(
      [](void* context, const arch::paging::Leaf& leaf) {
        auto& l = *static_cast<Look*>(context);
        if (l.address - leaf.address < leaf.bytes) l.bytes = leaf.bytes;
      },
      &look);
  return look.bytes;
}

struct Work {
  std::span<Byte> block;
  std::atomic<bool> begun{false}, done{false};
  std::atomic<u64> rounds{0};
  u64 rounds_before = 0, rounds_after = 0;
  bool split = false, whole = false;
};

// Worker 1 goes over the block's second half again and again.
void use(Work& work) {
  auto* words = reinterpret_cast<volatile u64*>(work.block.data() + mm::kLargePageBytes / 2);
  while (!work.done) {
    for (usize i = 0; i < mm::kLargePageBytes / 2 / sizeof(u64); i += 64) words[i] = words[i] + 1;
    work.rounds++;
    work.begun = true;
  }
}

// Worker 0 takes the block's first page away and gives it back.
void split(Work& work) {
  while (!work.begun) arch::Cpu::relax();
  work.rounds_before = work.rounds;
  work.split = arch::Cpu::guard_page(work.block.data()).has_value();
  u64 wanted = work.rounds + 2;
  while (work.rounds < wanted) arch::Cpu::relax();
  work.rounds_after = work.rounds;
  work.whole =
      leaf_bytes(reinterpret_cast<u64>(work.block.data()) + mm::kPageBytes) == mm::kPageBytes;
  arch::Cpu::unguard_page(work.block.data());
  work.done = true;
}

}  // namespace

TEST(blocks, one_is_split_while_another_cpu_works_in_it) {
  if (sched::worker_count() < 2) return test.skip("one cpu");
  // Enough that one of them was never split before.
  constexpr usize kBlocks = 32;
  auto run = mm::allocate_pages({.bytes = kBlocks * mm::kLargePageBytes,
                                 .purpose = mm::Purpose::kOther,
                                 .align = mm::kLargePageBytes,
                                 .zeroed = false});
  REQUIRE(run.has_value());
  Work work;
  for (usize i = 0; i < kBlocks && work.block.empty(); i++) {
    std::span<Byte> block = run->subspan(i * mm::kLargePageBytes, mm::kLargePageBytes);
    if (leaf_bytes(reinterpret_cast<u64>(block.data())) == mm::kLargePageBytes) work.block = block;
  }
  EXPECT(!work.block.empty());
  if (!work.block.empty())
    sched::run_on_workers(
        [](void* context, u32 worker) {
          auto& w = *static_cast<Work*>(context);
          if (worker == 0) split(w);
          if (worker == 1) use(w);
        },
        &work);
  EXPECT(work.split && work.whole);
  EXPECT(work.rounds_after > work.rounds_before);
  mm::free_pages(*run);
}
