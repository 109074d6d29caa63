// SPDX-License-Identifier: GPL-2.0-or-later
// Accepts and refuses the times that servers report.
#include "kernel/net/ntp_judge.h"

#include "kernel/base/test.h"

namespace {

using net::TimeJudge;
using enum net::TimeJudge::Verdict;

constexpr u64 kSecond = TimeJudge::kSecond, kHour = TimeJudge::kHour, kYear = 365 * 24 * kHour;
constexpr u64 kBuilt = 1'790'000'000 * kSecond, kNow = kBuilt + kYear;

// A machine whose clock follows the judge, as ntp.cpp does.
struct Machine {
  TimeJudge judge{kBuilt};
  u64 monotonic = 100 * kSecond;
  u64 boot = 0;  // unix time at monotonic 0; 0 = not known
  bool confirmed = false;
  u64 clock() const { return boot == 0 ? 0 : boot + monotonic; }
  void pass(u64 ns) { monotonic += ns; }
  TimeJudge::Verdict told(u64 unix_ns) {
    TimeJudge::Verdict v =
        judge.judge(unix_ns, monotonic, {.unix_ns = clock(), .confirmed = confirmed});
    if (v != kTaken && v != kConfirmed) return v;
    boot = unix_ns - monotonic;
    confirmed = v == kConfirmed;
    return v;
  }
  // Three replies that agree, 16 s apart.
  void settle(u64 unix_ns) {
    for (u32 i = 0; i < 3; i++) {
      (void)told(unix_ns + i * 16 * kSecond);
      pass(16 * kSecond);
    }
  }
};

}  // namespace

TEST(net_time, is_confirmed_by_replies_that_agree) {
  Machine m;
  EXPECT(m.told(kNow) == kTaken);
  m.pass(16 * kSecond);
  EXPECT(m.told(kNow + 17 * kSecond) == kTaken);
  m.pass(16 * kSecond);
  EXPECT(m.told(kNow + 32 * kSecond) == kConfirmed);
}

TEST(net_time, one_false_reply_confirms_nothing) {
  Machine m;
  EXPECT(m.told(kNow + 5 * kYear) == kTaken);
  m.pass(16 * kSecond);
  EXPECT(m.told(kNow) == kTaken);
  EXPECT_EQ(m.clock(), kNow);  // the true one of the next reply
  m.pass(16 * kSecond);
  EXPECT(m.told(kNow + 16 * kSecond) == kTaken);
  m.pass(16 * kSecond);
  EXPECT(m.told(kNow + 32 * kSecond) == kConfirmed);
}

TEST(net_time, impossible_times_are_nobodys) {
  Machine m;
  for (u64 bad : {u64{0}, kSecond, kBuilt - 1, kBuilt + TimeJudge::kMostAge + 1, ~u64{0}})
    for (u32 i = 0; i < 5; i++) EXPECT(m.told(bad) == kImpossible);
  EXPECT_EQ(m.clock(), 0u);
  m.settle(kNow);
  u64 before = m.clock();
  for (u32 i = 0; i < 5; i++) EXPECT(m.told(kBuilt - kHour) == kImpossible);
  EXPECT_EQ(m.clock(), before);
}

TEST(net_time, a_clock_that_is_set_moves_a_little_by_one_reply) {
  Machine m;
  m.settle(kNow);
  u64 true_now = m.clock();
  EXPECT(m.told(true_now + 3 * kHour) == kConfirmed);  // it stood still for a while
  EXPECT(m.told(m.clock() - kSecond) == kConfirmed);
  Machine back;
  back.settle(kNow);
  EXPECT(back.told(back.clock() - 3 * kHour) == kFar);
}

TEST(net_time, a_clock_that_is_set_moves_far_only_when_replies_agree) {
  Machine m;
  m.settle(kNow);
  u64 far = m.clock() + 100 * 24 * kHour, before = m.clock();
  EXPECT(m.told(far) == kFar);
  m.pass(kHour);
  EXPECT(m.told(far + kHour) == kFar);
  EXPECT_EQ(m.clock(), before + kHour);
  m.pass(kHour);
  EXPECT(m.told(far + 2 * kHour) == kConfirmed);
  EXPECT_EQ(m.clock(), far + 2 * kHour);
  // A true reply between false ones begins the count again.
  Machine n;
  n.settle(kNow);
  u64 good = n.clock();
  for (u32 i = 1; i < 20; i++) {
    n.pass(kHour);
    bool lie = i % 3 != 0;
    EXPECT(n.told(good + i * kHour + (lie ? kYear : 0)) == (lie ? kFar : kConfirmed));
  }
  EXPECT_EQ(n.clock(), good + 19 * kHour);
}

TEST(net_time, a_clock_that_is_set_never_goes_back_by_hours) {
  Machine m;
  m.settle(kNow);
  u64 past = m.clock() - 30 * 24 * kHour;
  for (u32 i = 0; i < 10; i++) {
    EXPECT(m.told(past + i * kHour) == kBackwards);
    m.pass(kHour);
  }
  EXPECT(m.clock() > kNow);
}
