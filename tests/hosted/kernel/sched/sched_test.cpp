// SPDX-License-Identifier: GPL-2.0-or-later
// Threads, wait queues and workers on the twin's CPUs.
#include <atomic>
#include <string>

#include "kernel/arch_contract.h"
#include "kernel/base/containers.h"
#include "kernel/base/test.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "tests/hosted/test_death.h"
#include "tests/hosted/test_threads.h"

namespace {

bool wait_for(const u32& value, u32 wanted) {
  u64 end = timing::now_ns() + 5'000'000'000;
  while (value != wanted && timing::now_ns() < end) sched::sleep_ns(1'000'000);
  return value == wanted;
}

struct Turns {
  StaticVector<char, 64> order;
  u32 ended = 0;
};

template <char kName>
void take_turns(void* argument) {
  auto& turns = *static_cast<Turns*>(argument);
  for (u32 i = 0; i < 3; i++) {
    ASSERT(turns.order.push_back(kName));
    sched::yield();
  }
  turns.ended++;
}

}  // namespace

TEST(sched, yield_goes_round) {
  test_threads::start();
  Turns turns;
  REQUIRE(sched::spawn("a", take_turns<'a'>, &turns).has_value());
  REQUIRE(sched::spawn("b", take_turns<'b'>, &turns).has_value());
  while (turns.ended < 2) sched::yield();
  EXPECT_EQ(std::string_view(turns.order.begin(), turns.order.size()), "ababab");
}

TEST(sched, sleepers_wake_in_order_of_deadline) {
  test_threads::start();
  struct Sleeper {
    StaticVector<u32, 8>* order;
    u32 ms;
  };
  StaticVector<u32, 8> order;
  Sleeper sleepers[] = {{&order, 30}, {&order, 10}, {&order, 20}};
  for (Sleeper& s : sleepers) {
    auto spawned = sched::spawn(
        "sleeper",
        [](void* p) {
          auto& self = *static_cast<Sleeper*>(p);
          sched::sleep_ns(u64{self.ms} * 1'000'000);
          ASSERT(self.order->push_back(self.ms));
        },
        &s);
    REQUIRE(spawned.has_value());
  }
  u64 start_ns = timing::now_ns();
  sched::sleep_ns(60'000'000);
  EXPECT(timing::now_ns() - start_ns >= 60'000'000);
  REQUIRE(order.size() == 3);
  EXPECT_EQ(order[0], 10u);
  EXPECT_EQ(order[1], 20u);
  EXPECT_EQ(order[2], 30u);
}

TEST(sched, a_wait_times_out_or_is_woken) {
  test_threads::start();
  sched::WaitQueue queue;
  EXPECT(!queue.wait(timing::now_ns() + 2'000'000));
  struct Waiter {
    sched::WaitQueue queue;
    u32 woken = 0;
  } waiter;
  for (u32 i = 0; i < 3; i++)
    REQUIRE(sched::spawn(
                "waiter",
                [](void* p) {
                  auto& w = *static_cast<Waiter*>(p);
                  if (w.queue.wait()) w.woken++;
                },
                &waiter)
                .has_value());
  sched::yield();
  waiter.queue.wake_one();
  sched::yield();
  EXPECT_EQ(waiter.woken, 1u);
  waiter.queue.wake_all();
  EXPECT(wait_for(waiter.woken, 3));
}

TEST(sched, a_wake_between_check_and_wait_is_not_lost) {
  test_threads::start();
  sched::WaitQueue queue;
  queue.wake_one();
  EXPECT(queue.wait(timing::now_ns() + 1'000'000'000));  // false had the time run out
  EXPECT(!queue.wait(timing::now_ns() + 1'000'000));     // and it counts once
}

TEST(sched, dead_threads_give_their_stacks_back) {
  test_threads::start();
  u32 ended = 0;
  u64 stacks = mm::usage().of(mm::Purpose::kStacks);
  for (u32 i = 0; i < 50; i++) {
    auto spawned = sched::spawn("brief", [](void* p) { ++*static_cast<u32*>(p); }, &ended);
    REQUIRE(spawned.has_value());
    sched::yield();
  }
  EXPECT(wait_for(ended, 50));
  sched::yield();
  EXPECT_EQ(mm::usage().of(mm::Purpose::kStacks), stacks);
}

TEST(sched, every_worker_takes_part_in_every_step) {
  test_threads::start();
  if (sched::worker_count() == 1) sched::start_workers(0);
  struct Step {
    std::atomic<u32> seen[256] = {};
    std::atomic<u32> total{0};
  };
  static Step step;
  constexpr u32 kSteps = 2000;
  for (u32 i = 0; i < kSteps; i++) {
    sched::run_on_workers(
        [](void* p, u32 worker) {
          auto& s = *static_cast<Step*>(p);
          s.seen[worker]++;
          s.total++;
        },
        &step);
    EXPECT_EQ(step.total.load(), (i + 1) * sched::worker_count());
    if (i % 500 == 0) sched::sleep_ns(2'000'000);  // long enough for workers to fall asleep
  }
  for (u32 w = 0; w < sched::worker_count(); w++) EXPECT_EQ(step.seen[w].load(), kSteps);
  EXPECT(sched::worker_counters().steps >= kSteps);
}

TEST(sched, the_watchdog_names_a_worker_that_stays_away) {
  test_threads::start();
  if (sched::worker_count() == 1) sched::start_workers(0);
  if (sched::worker_count() == 1) return test.skip("one cpu");
  u64 stalls = sched::worker_counters().stalls;
  sched::set_stall_limit(5'000'000);
  sched::run_on_workers(
      [](void*, u32 worker) {
        if (worker != 1) return;
        u64 end = timing::now_ns() + 30'000'000;
        while (timing::now_ns() < end) arch::Cpu::relax();
      },
      nullptr);
  sched::set_stall_limit(5'000'000'000);
  // On a busy host, CPU 0 may be left without time for as long, which is reported as well.
  EXPECT(sched::worker_counters().stalls > stalls);
}

namespace {

// Threads that want the pool. A task notes its thread's name and lets the others run, as the
// engine's do, so that they ask for the pool while it is taken.
struct Pool {
  std::string asked, served;
  u32 running = 0;
};
struct PoolUser {
  Pool* pool;
  char name;
  u32 tasks;
};

void use_pool(void* argument) {
  auto& user = *static_cast<PoolUser*>(argument);
  for (u32 i = 0; i < user.tasks; i++) {
    user.pool->asked += user.name;
    sched::run_on_workers(
        [](void* p, u32 worker) {
          if (worker != 0) return;
          auto& self = *static_cast<PoolUser*>(p);
          self.pool->served += self.name;
          for (u32 turn = 0; turn < 3; turn++) sched::yield();
        },
        &user);
  }
  user.pool->running--;
}

}  // namespace

TEST(sched, the_pool_serves_threads_in_the_order_in_which_they_ask) {
  test_threads::start();
  constexpr u32 kUsers = 5, kTasks = 20;
  Pool pool;
  StaticVector<PoolUser, kUsers> users;
  for (u32 i = 0; i < kUsers; i++) {
    REQUIRE(users.push_back({&pool, static_cast<char>('a' + i), kTasks}));
    REQUIRE(sched::spawn("pool user", use_pool, &users[i]).has_value());
    pool.running++;
  }
  while (pool.running > 0) sched::yield();
  EXPECT_EQ(pool.served.size(), kUsers * kTasks);
  EXPECT_EQ(std::string_view(pool.served), std::string_view(pool.asked));
  // And so nobody waits for more than one task of each of the others.
  u32 waited_longer = 0;
  for (usize at = 0; at + kUsers <= pool.served.size(); at++)
    for (const PoolUser& user : users)
      waited_longer += pool.served.substr(at, kUsers).find(user.name) == std::string::npos;
  EXPECT_EQ(waited_longer, 0u);
}

// One that asks again as soon as it is served must not keep out another that asks once.
TEST(sched, who_uses_the_pool_all_the_time_starves_nobody) {
  test_threads::start();
  Pool pool{.asked = {}, .served = {}, .running = 2};
  PoolUser greedy{&pool, 'g', 50}, modest{&pool, 'm', 1};
  REQUIRE(sched::spawn("greedy", use_pool, &greedy).has_value());
  REQUIRE(sched::spawn("modest", use_pool, &modest).has_value());
  while (pool.running > 0) sched::yield();
  EXPECT_EQ(pool.served.find('m'), 1u);
}

TEST(sched, a_task_that_runs_another_is_a_mistake) {
  test_threads::start();
  auto nested = [] {
    sched::run_on_workers(
        [](void*, u32 worker) {
          if (worker == 0) sched::run_on_workers([](void*, u32) {}, nullptr);
        },
        nullptr);
  };
  EXPECT(death_of(nested).find("worker_pool.cpp") != std::string::npos);
}
