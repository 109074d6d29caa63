// SPDX-License-Identifier: GPL-2.0-or-later
// Leases are counted, jobs take their turns and may be withdrawn, ties and shares clear themselves.
#include "ai/engine/lease.h"
#include "kernel/base/budget.h"
#include "kernel/base/test.h"
#include "kernel/base/tie.h"
#include "kernel/base/wipe.h"
#include "tests/hosted/ai/openai/fake_backend.h"

namespace {

struct Counter final : ai::LeaseKeeper {
  u32 ended = 0, slot = 0;
  void lease_ended(u32 which) override {
    ended++;
    slot = which;
  }
};

struct Job final : ai::EngineJob {
  String& log;
  char name;
  u32 pieces;
  ai::EngineJob* withdraws = nullptr;

  Job(String& where, char letter, u32 turns) : log(where), name(letter), pieces(turns) {}
  bool run(ai::Engine&) override {
    ASSERT(running() && !waiting());
    (void)log.push_back(name);
    if (withdraws != nullptr) ai::EngineJobs::withdraw(*withdraws);
    return --pieces > 0;
  }
};

struct Right;
struct Left {
  base::Tie<Left, Right> tie{*this};
};
struct Right {
  base::Tie<Right, Left> tie{*this};
};

}  // namespace

TEST(lease, is_ended_once) {
  Counter counter;
  ApiTestEngine engine;
  {
    ai::Lease first(counter, 3, engine, 9, "m");
    EXPECT(static_cast<bool>(first));
    ai::Lease second = std::move(first);
    EXPECT(!first && second);  // NOLINT(bugprone-use-after-move): that is the question
    EXPECT_EQ(first.load_number(), 0u);
    EXPECT_EQ(second.load_number(), 9u);
    EXPECT_EQ(second.model(), "m");
    EXPECT_EQ(second.info().context, 200u);
    EXPECT(&ai::EngineAccess::of(second) == &engine);
    EXPECT_EQ(counter.ended, 0u);
    second = ai::Lease(counter, 4, engine, 10, "n");
    EXPECT_EQ(counter.ended, 1u);
    EXPECT_EQ(counter.slot, 3u);
  }
  EXPECT_EQ(counter.ended, 2u);
  EXPECT_EQ(counter.slot, 4u);
}

TEST(lease, jobs_take_turns) {
  ApiTestEngine engine;
  String log;
  ai::EngineJobs jobs;
  Job a(log, 'a', 3), b(log, 'b', 1), c(log, 'c', 2);
  jobs.add(a);
  jobs.add(b);
  jobs.add(c);
  while (jobs.run_one(engine)) {
  }
  EXPECT_EQ(log.view(), "abcaca");
  EXPECT(jobs.empty() && !a.waiting() && !a.running());
}

TEST(lease, jobs_are_withdrawn) {
  ApiTestEngine engine;
  String log;
  ai::EngineJobs jobs;
  Job a(log, 'a', 3), b(log, 'b', 3), c(log, 'c', 1);
  jobs.add(a);
  jobs.add(b);
  jobs.add(c);
  ai::EngineJobs::withdraw(b);
  EXPECT(!b.waiting());
  ai::EngineJobs::withdraw(b);  // nothing more
  a.withdraws = &a;             // while it runs: this turn is its last
  while (jobs.run_one(engine)) {
  }
  EXPECT_EQ(log.view(), "ac");
  a.withdraws = nullptr;
  jobs.add(a);  // may come again
  while (jobs.run_one(engine)) {
  }
  EXPECT_EQ(log.view(), "acaa");
}

TEST(lease, ties_clear_both_ends) {
  Left left;
  {
    Right right;
    left.tie.join(right.tie);
    EXPECT(left.tie.get() == &right && right.tie.get() == &left);
  }
  EXPECT(left.tie.get() == nullptr);
  Right one, two;
  left.tie.join(one.tie);
  two.tie.join(left.tie);  // ends the tie before
  EXPECT(one.tie.get() == nullptr && two.tie.get() == &left && left.tie.get() == &two);
  left.tie.part();
  EXPECT(two.tie.get() == nullptr);
}

TEST(lease, shares_of_a_budget) {
  base::Budget budget(10);
  base::BudgetShare a(budget);
  {
    base::BudgetShare b(budget);
    EXPECT(a.take(4) && b.take(6));
    EXPECT(!a.take(1));
    EXPECT(!a.take(~u64{0}));
    EXPECT_EQ(budget.used(), 10u);
  }
  EXPECT_EQ(budget.used(), 4u);
  EXPECT(a.take(6));
  a.give_back();
  EXPECT_EQ(budget.used(), 0u);
}

TEST(lease, what_is_wiped_is_zero) {
  String text = MUST(String::from("a secret that is long enough to lie on the heap"));
  const char* at = text.view().data();
  usize size = text.size();
  base::wipe(text);
  EXPECT(text.empty());
  for (usize i = 0; i < size; i++) EXPECT_EQ(at[i], '\0');  // still its room
}
