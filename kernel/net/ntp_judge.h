// SPDX-License-Identifier: GPL-2.0-or-later
// Which of the times that servers tell are taken: SNTP has no signature, so one false reply must
// not be able to move the clock far, and none to move it out of the years that are possible.
#pragma once

#include "kernel/base/types.h"

namespace net {

class TimeJudge {
 public:
  // A time before `earliest_unix_ns` (the build's) is nobody's; nor is one kMostAge later.
  explicit constexpr TimeJudge(u64 earliest_unix_ns) : earliest_(earliest_unix_ns) {}

  enum class Verdict : u8 {
    kTaken,       // the clock is to be set; it is as good as one reply
    kConfirmed,   // the clock is to be set; kAgreeing replies in a row agree
    kImpossible,  // before the build, or decades after it
    kFar,         // hours away, and others have not said the same
    kBackwards,   // the clock does not go back that far, whoever says so
  };
  struct Clock {
    u64 unix_ns = 0;  // 0: not known
    bool confirmed = false;
  };
  // A server says that it is `told_unix_ns` at `now_ns` of the monotonic clock.
  Verdict judge(u64 told_unix_ns, u64 now_ns, const Clock& ours);

  static constexpr u64 kSecond = 1'000'000'000, kHour = 3600 * kSecond;
  static constexpr u32 kAgreeing = 3;
  static constexpr u64 kNear = 2 * kSecond;  // also how far replies that agree may lie apart
  static constexpr u64 kStep = 4 * kHour;    // forwards, on one reply's word
  static constexpr u64 kMostAge = 30 * 365 * 24 * kHour;

 private:
  Verdict judge_known(u64 told, const Clock& ours) const;
  void count(u64 told, u64 now);

  u64 earliest_;
  u64 last_told_ = 0, last_now_ = 0;
  u32 agreeing_ = 0;  // replies in a row that tell the same clock
};

}  // namespace net
