// SPDX-License-Identifier: GPL-2.0-or-later
// The shares of a run of products: each group is taken once, whoever comes first.
#include <pthread.h>
#include <sched.h>

#include "ai/models/shares.h"
#include "kernel/base/test.h"

namespace {

using namespace ai;

constexpr u32 kGroups = 5000, kRuns = 300;

struct Taker {
  Share* shares;
  std::atomic<u32>* taken;  // (kGroups) how often
  std::atomic<u32>* arrived;
  u32 self, workers;
};

GroupRange planned(u32 worker, u32 workers) {
  return {kGroups * worker / workers, kGroups * (worker + 1) / workers};
}

void take_all(const Taker& t, u16 run) {
  for (u32 i = 0; i < t.workers; i++) {
    u32 owner = (t.self + i) % t.workers;
    for (;;) {
      GroupRange piece = take_piece(t.shares[owner], run, planned(owner, t.workers), {.least = 3},
                                    i == 0 ? End::kHead : End::kTail);
      if (piece.count() == 0) break;
      for (u32 g = piece.first; g < piece.last; g++) t.taken[g].fetch_add(1);
    }
  }
}

void* take_in_every_run(void* argument) {
  const Taker& t = *static_cast<Taker*>(argument);
  for (u32 run = 1; run <= kRuns; run++) {
    t.arrived->fetch_add(1);
    while (t.arrived->load() < run * t.workers) sched_yield();
    take_all(t, static_cast<u16>(run));
  }
  return nullptr;
}

TEST(models_shares, every_group_is_taken_once_in_each_run) {
  constexpr u32 kWorkers = 2;
  static Share shares[kWorkers];
  static std::atomic<u32> taken[kGroups];
  std::atomic<u32> arrived{0};
  Taker takers[kWorkers];
  pthread_t ids[kWorkers];
  for (u32 w = 0; w < kWorkers; w++) {
    takers[w] = {shares, taken, &arrived, w, kWorkers};
    EXPECT_EQ(pthread_create(&ids[w], nullptr, take_in_every_run, &takers[w]), 0);
  }
  for (pthread_t id : ids) pthread_join(id, nullptr);
  for (auto& count : taken) EXPECT_EQ(count.load(), kRuns);
}

TEST(models_shares, one_worker_takes_what_the_others_leave) {
  Share shares[3];
  static std::atomic<u32> taken[kGroups];
  std::atomic<u32> arrived{0};
  Taker only{shares, taken, &arrived, 1, 3};
  take_all(only, 7);
  for (auto& count : taken) EXPECT_EQ(count.load(), 1u);
  // The same number again would find nothing left; the next run finds all.
  take_all(only, 7);
  for (auto& count : taken) EXPECT_EQ(count.load(), 1u);
  take_all(only, 8);
  for (auto& count : taken) EXPECT_EQ(count.load(), 2u);
}

TEST(models_shares, the_owner_takes_its_head_and_a_thief_the_tail) {
  Share share;
  GroupRange own = take_piece(share, 1, {100, 140}, {.least = 1}, End::kHead);
  EXPECT_EQ(own.first, 100u);
  EXPECT_EQ(own.last, 110u);
  GroupRange stolen = take_piece(share, 1, {100, 140}, {.least = 1}, End::kTail);
  EXPECT_EQ(stolen.last, 140u);
  EXPECT_EQ(stolen.first, 133u);
  GroupRange rest = take_piece(share, 1, {100, 140}, {.least = 50}, End::kTail);
  EXPECT_EQ(rest.first, 110u);
  EXPECT_EQ(rest.last, 133u);
  EXPECT_EQ(take_piece(share, 1, {100, 140}, {.least = 1}, End::kHead).count(), 0u);
  EXPECT_EQ(take_piece(share, 2, {100, 140}, {.least = 1, .most = 6}, End::kHead).count(), 6u);
}

}  // namespace
