// SPDX-License-Identifier: GPL-2.0-or-later
// Decides which of the times that servers report are accepted. SNTP has no signature, so one false
// reply must not be able to move the clock far, and none must move it out of the possible years.
// Pure.
#pragma once

#include "kernel/base/types.h"

namespace net {

class TimeJudge {
 public:
  // A time before `earliest_unix_ns` (the build's) is impossible, and so is one kMostAge later.
  explicit constexpr TimeJudge(u64 earliest_unix_ns) : earliest_(earliest_unix_ns) {}

  enum class Verdict : u8 {
    kTaken,       // set the clock, which is then as trustworthy as one reply
    kConfirmed,   // set the clock: kAgreeing replies in a row agree
    kImpossible,  // before the build, or decades after it
    kFar,         // hours away, and others have not confirmed it
    kBackwards,   // the clock is never set back that far
  };
  struct Clock {
    u64 unix_ns = 0;  // 0: not known
    bool confirmed = false;
  };
  // Judges a server's claim that it was `told_unix_ns` when the monotonic clock was `now_ns`.
  Verdict judge(u64 told_unix_ns, u64 now_ns, const Clock& ours);

  static constexpr u64 kSecond = 1'000'000'000, kHour = 3600 * kSecond;
  static constexpr u32 kAgreeing = 3;
  static constexpr u64 kNear = 2 * kSecond;  // also how far agreeing replies may differ
  static constexpr u64 kStep = 4 * kHour;    // forwards, on the word of one reply
  static constexpr u64 kMostAge = 30 * 365 * 24 * kHour;

 private:
  Verdict judge_known(u64 told, const Clock& ours) const;
  void count(u64 told, u64 now);

  u64 earliest_;
  u64 last_told_ = 0, last_now_ = 0;
  u32 agreeing_ = 0;  // replies in a row that give the same clock
};

}  // namespace net
