// SPDX-License-Identifier: GPL-2.0-or-later
// Memory, threads, timers, workers and the watchdog of the booted machine.
#include "kernel/arch_contract.h"
#include "kernel/base/test.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/sync/lock.h"
#include "kernel/time/clock.h"
#include "kernel/trace.h"

namespace {

bool log_has(std::string_view text) {
  static char buffer[32 * 1024];
  base::BufferWriter out(buffer);
  // On a busy host the watchdog complains often, a dozen lines each time.
  log::replay(out, 256);
  return out.view().find(text) != std::string_view::npos;
}

// A CPU whose interrupts were off may tell where it was only when they are on again.
bool log_will_have(std::string_view text) {
  for (u64 end = timing::now_ns() + 5'000'000'000; timing::now_ns() < end;)
    if (log_has(text)) return true;
  return false;
}

}  // namespace

// Returns a moment after the watchdog's next report: it counts first and looks at the CPU then.
// Judged by the count, because an emulator's CPU may stand still for longer than the limit.
void outstay_the_watchdog() {
  u64 before = sched::worker_counters().stalls;
  while (sched::worker_counters().stalls == before) arch::Cpu::relax();
  u64 end = timing::now_ns() + 100'000'000;
  while (timing::now_ns() < end) arch::Cpu::relax();
}

// Not inlined: the report must carry these names.
[[gnu::noinline]] void stay_away_for_a_while() {
  outstay_the_watchdog();
}

[[gnu::noinline]] void hold_the_boot_cpu() {
  locks::InterruptsOff off;
  outstay_the_watchdog();
}

TEST(services, every_page_is_accounted_for) {
  EXPECT(mm::verify().has_value());
  EXPECT(mm::verify_heap().has_value());
  mm::Usage u = mm::usage();
  u64 sum = 0;
  for (usize i = 1; i < static_cast<usize>(mm::Purpose::kCount); i++) sum += u.bytes[i];
  EXPECT_EQ(sum, u.total);
  EXPECT(u.of(mm::Purpose::kKernel) > 0 && u.of(mm::Purpose::kHeap) > 0);
}

// Pages that say they are the heap's, but of which the heap knows nothing.
TEST(services, memory_that_nobody_accounts_for_is_found) {
  auto stray = mm::allocate_pages({.bytes = 3 * mm::kPageBytes, .purpose = mm::Purpose::kHeap});
  REQUIRE(stray.has_value());
  Result<void> checked = mm::verify();
  mm::free_pages(*stray);
  EXPECT(!checked.has_value() && checked.error().code == Errc::kCorrupt);
  EXPECT(mm::verify().has_value());
}

TEST(services, a_third_of_the_free_memory_comes_in_one_run) {
  u64 free = mm::usage().of(mm::Purpose::kFree);
  // A hole below 4 GiB may split RAM, so a third: one side of the hole holds that.
  auto run = mm::allocate_pages({.bytes = free / 3,
                                 .purpose = mm::Purpose::kWeights,
                                 .align = mm::kLargePageBytes,
                                 .zeroed = false});
  REQUIRE(run.has_value());
  EXPECT_EQ(reinterpret_cast<u64>(run->data()) % mm::kLargePageBytes, 0u);
  run->front() = 1;
  run->back() = 2;
  mm::free_pages(*run);
  EXPECT_EQ(mm::usage().of(mm::Purpose::kFree), free);
  EXPECT(mm::verify().has_value());
}

TEST(services, pages_come_zeroed) {
  auto run = mm::allocate_pages({.bytes = 64 * kKiB, .purpose = mm::Purpose::kOther});
  REQUIRE(run.has_value());
  std::memset(run->data(), 0xff, run->size());
  Byte* first = run->data();
  mm::free_pages(*run);
  run = mm::allocate_pages({.bytes = 64 * kKiB, .purpose = mm::Purpose::kOther});
  REQUIRE(run.has_value());
  EXPECT_EQ(static_cast<const void*>(run->data()), static_cast<const void*>(first));
  for (Byte b : *run) REQUIRE(b == 0);
  mm::free_pages(*run);
}

TEST(limited_services, sleep_is_ended_by_the_timer) {
  for (u64 ns : {u64{200'000}, u64{5'000'000}, u64{30'000'000}}) {
    u64 begin = timing::now_ns();
    sched::sleep_ns(ns);
    u64 took = timing::now_ns() - begin;
    EXPECT(took >= ns);
    EXPECT(took < ns + 5'000'000'000);  // an emulator on a busy host is late, but not for ever
  }
}

TEST(limited_services, threads_take_turns_and_give_back_their_stacks) {
  u64 stacks = mm::usage().of(mm::Purpose::kStacks);
  u32 turns = 0;
  for (u32 i = 0; i < 8; i++) {
    auto spawned = sched::spawn(
        "turns",
        [](void* p) {
          for (u32 n = 0; n < 100; n++) {
            ++*static_cast<u32*>(p);
            sched::yield();
          }
        },
        &turns);
    REQUIRE(spawned.has_value());
  }
  while (turns < 800) sched::yield();
  // The threads end, and so may one of a driver that was there at the beginning.
  for (u64 end = timing::now_ns() + 5'000'000'000;
       mm::usage().of(mm::Purpose::kStacks) > stacks && timing::now_ns() < end;)
    sched::sleep_ns(1'000'000);
  EXPECT(mm::usage().of(mm::Purpose::kStacks) <= stacks);
}

TEST(services, workers_run_every_step_awake_or_asleep) {
  static std::atomic<u32> total;
  total = 0;
  for (u32 i = 0; i < 300; i++) {
    sched::run_on_workers([](void*, u32) { total++; }, nullptr);
    if (i % 100 == 99) sched::sleep_ns(2'000'000);
  }
  EXPECT_EQ(total.load(), 300 * sched::worker_count());
}

TEST(limited_services, the_watchdog_names_a_worker_that_stays_away) {
  if (sched::worker_count() < 2) return test.skip("one cpu");
  static std::atomic<bool> away;
  sched::set_stall_limit(10'000'000);
  // A busy emulator may not run the CPU for as long as the report waits for its answer.
  for (u32 tries = 0; tries < 5 && !log_has("stay_away_for_a_while"); tries++) {
    away = false;
    sched::run_on_workers(
        [](void*, u32 worker) {
          if (worker == 1) away = true;
          while (!away) arch::Cpu::relax();
          if (worker == 1) stay_away_for_a_while();
        },
        nullptr);
  }
  sched::set_stall_limit(5'000'000'000);
  EXPECT(log_has("watchdog: error: cpu 1 has not finished"));
  EXPECT(log_has("stay_away_for_a_while"));
}

TEST(limited_services, the_watchdog_names_a_boot_cpu_that_does_not_schedule) {
  if (!sched::boot_cpu_is_watched()) return test.skip("one cpu, and no timer that would watch it");
  sched::set_stall_limit(60'000'000);
  sched::run_on_workers([](void*, u32) {},
                        nullptr);  // worker 1, if it watches, takes up the new limit
  hold_the_boot_cpu();
  sched::set_stall_limit(5'000'000'000);
  EXPECT(log_has("watchdog: error: cpu 0 has not scheduled"));
  EXPECT(log_will_have("hold_the_boot_cpu"));
}

TEST(services, the_trace_keeps_zones) {
  {
    trace::Zone zone("services test");
  }
  static char buffer[8 * 1024];
  base::BufferWriter out(buffer);
  trace::print(out, 2);
  EXPECT(out.view().find("{ services test") != std::string_view::npos);
  EXPECT(out.view().find("} services test") != std::string_view::npos);
}
