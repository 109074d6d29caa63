// SPDX-License-Identifier: GPL-2.0-or-later
// Tests the worker pool under weak ordering. Each worker runs each step once and sees what CPU 0
// wrote before it; CPU 0 sees what the worker wrote. No wake is lost, whichever CPU sleeps and
// whenever.
#include "kernel/sched/worker_pool.cpp"  // NOLINT(bugprone-suspicious-include): its words have no other name

#include "kernel/base/test.h"
#include "tests/weak/explorer.h"

u64 timing::now_ns() {
  return arch::Cpu::now_ticks();
}
u64 timing::ticks_from_ns(u64 ns) {
  return ns;
}
void trace::record(Kind, const char*, u64) {}
void trial::check() {}

namespace sched {
Thread* current() {
  return nullptr;
}
u64 heartbeat() {
  return 0;
}
bool idle() {
  return true;
}
bool WaitQueue::wait(u64) {
  return true;
}
void WaitQueue::wake_one() {}
void check_thread(const char*, int) {}
}  // namespace sched

using weak::Without;

namespace {

// The input and output of a step. It is plain data, so that the explorer finds a race.
struct Work {
  u32 given = 0;
  u32 taken[weak::kMostCpus] = {};
};

void take(void* context, u32 worker) {
  auto* work = static_cast<Work*>(context);
  work->taken[worker] += work->given;
}

// CPU 0 starts `cpus` - 1 workers and runs `steps` steps.
weak::Outcome run_steps(const weak::Options& options, u32 cpus, u32 steps) {
  return weak::explore(options, {[=] {
                         sched::set_stall_limit(0);
                         sched::start_workers(cpus);
                         Work work;
                         u32 workers = sched::worker_count(), wanted = 0;
                         for (u32 s = 1; s <= steps; s++) {
                           work.given = s;
                           wanted += s;
                           sched::run_on_workers(take, &work);
                           for (u32 w = 0; w < workers; w++)
                             weak::check(work.taken[w] == wanted, "a step was lost or repeated");
                         }
                       }});
}

}  // namespace

TEST(weak_worker_pool, one_step_in_every_order) {
  weak::Outcome outcome = run_steps({}, 2, 1);
  EXPECT_EQ(outcome.failure, "");
  EXPECT(outcome.complete);
  EXPECT(outcome.runs > 10'000);
}

TEST(weak_worker_pool, steps_follow_each_other_on_three_cpus) {
  for (auto [cpus, steps, switches] :
       {std::tuple{2u, 2u, 2u}, {2u, 3u, 1u}, {3u, 1u, 1u}, {3u, 2u, 1u}}) {
    weak::Outcome outcome = run_steps({.most_switches = switches}, cpus, steps);
    EXPECT_EQ(outcome.failure, "");
    EXPECT(outcome.complete);
    EXPECT(outcome.runs > 400);
  }
}

TEST(weak_worker_pool, each_of_its_orderings_is_needed) {
  for (Without without : {Without::kAcquire, Without::kTotalOrder}) {
    weak::Outcome outcome = run_steps({.without = without, .most_switches = 2}, 2, 2);
    EXPECT(!outcome.failure.empty());
  }
}
