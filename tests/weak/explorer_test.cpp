// SPDX-License-Identifier: GPL-2.0-or-later
// Tests the explorer on small programs with known outcomes: it must find what C++ allows, and never
// what C++ forbids.
#include "tests/weak/explorer.h"

#include <atomic>

#include "kernel/base/test.h"
#include "kernel/sync/lock.h"

using std::memory_order_acquire, std::memory_order_relaxed, std::memory_order_release,
    std::memory_order_seq_cst;
using weak::Without;

namespace {

std::atomic<u32> x{0}, y{0};
u32 plain = 0;

weak::Outcome message(std::memory_order store, std::memory_order load) {
  return weak::explore({}, {[=] {
                              weak::start_others();
                              x.store(1, memory_order_relaxed);
                              y.store(1, store);
                            },
                            [=] {
                              if (y.load(load) == 0) return;
                              weak::check(x.load(memory_order_relaxed) == 1, "overtaken");
                            }});
}

// Each thread stores to its own word and then reads the other's.
weak::Outcome both_store(std::memory_order store, std::memory_order load) {
  return weak::explore({}, {[=] {
                              weak::start_others();
                              x.store(1, store);
                              if (y.load(load) == 1) return;
                              // Wakes the other thread. A thread that sees no store of the other
                              // waits for that wake.
                              arch::Cpu::wait_for_interrupt();
                            },
                            [=] {
                              y.store(1, store);
                              if (x.load(load) == 1) arch::Cpu::wake_cpu(0);
                            }});
}

weak::Outcome plain_message(std::memory_order store, std::memory_order load) {
  return weak::explore({}, {[=] {
                              weak::start_others();
                              plain = 7;
                              x.store(1, store);
                            },
                            [=] {
                              if (x.load(load) == 1) weak::check(plain == 7, "overtaken");
                            }});
}

weak::Outcome locked(Without without) {
  static locks::Spinlock lock;
  auto add = [] {
    bool on = lock.lock();
    plain++;
    lock.unlock(on);
  };
  return weak::explore({.without = without}, {[=] {
                                                weak::start_others();
                                                add();
                                                add();
                                              },
                                              [=] { add(); }});
}

}  // namespace

TEST(weak_explorer, a_relaxed_flag_is_seen_before_its_data) {
  EXPECT(!message(memory_order_relaxed, memory_order_acquire).failure.empty());
  EXPECT(!message(memory_order_release, memory_order_relaxed).failure.empty());
  weak::Outcome right = message(memory_order_release, memory_order_acquire);
  EXPECT_EQ(right.failure, "");
  EXPECT(right.complete && right.runs >= 3);
}

TEST(weak_explorer, only_total_order_forbids_that_two_stores_miss_each_other) {
  EXPECT(!both_store(memory_order_release, memory_order_acquire).failure.empty());
  EXPECT_EQ(both_store(memory_order_seq_cst, memory_order_seq_cst).failure, "");
}

TEST(weak_explorer, plain_data_needs_a_message_that_carries_it) {
  EXPECT(!plain_message(memory_order_relaxed, memory_order_acquire).failure.empty());
  EXPECT(!plain_message(memory_order_release, memory_order_relaxed).failure.empty());
  EXPECT_EQ(plain_message(memory_order_release, memory_order_acquire).failure, "");
}

TEST(weak_explorer, a_spin_lock_keeps_plain_data) {
  weak::Outcome right = locked(Without::kNothing);
  EXPECT_EQ(right.failure, "");
  EXPECT(right.complete);
  EXPECT(!locked(Without::kAcquire).failure.empty());
  EXPECT(!locked(Without::kRelease).failure.empty());
}

TEST(weak_explorer, what_was_written_is_put_back) {
  plain = 1;
  weak::Outcome outcome = weak::explore({}, {[] { plain = 2; }});
  EXPECT_EQ(outcome.runs, 1u);
  EXPECT_EQ(plain, 1u);
}
