// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the judge of times.
#include "kernel/net/ntp_judge.h"

#include <algorithm>

namespace net {
namespace {

u64 distance(u64 a, u64 b) {
  return a > b ? a - b : b - a;
}

}  // namespace

void TimeJudge::count(u64 told, u64 now) {
  u64 elapsed = now - last_now_;
  u64 drift = elapsed / 1000;  // a clock that is wrong by a thousandth is a bad one
  bool same = agreeing_ > 0 && distance(told, last_told_ + elapsed) <= kNear + drift;
  agreeing_ = same ? std::min(agreeing_ + 1, kAgreeing) : 1;
  last_told_ = told;
  last_now_ = now;
}

TimeJudge::Verdict TimeJudge::judge(u64 told, u64 now, const Clock& ours) {
  if (told < earliest_ || told - earliest_ > kMostAge) return Verdict::kImpossible;
  count(told, now);
  if (ours.unix_ns != 0 && ours.confirmed) return judge_known(told, ours);
  return agreeing_ == kAgreeing ? Verdict::kConfirmed : Verdict::kTaken;
}

TimeJudge::Verdict TimeJudge::judge_known(u64 told, const Clock& ours) const {
  u64 far = distance(told, ours.unix_ns);
  if (far <= kNear) return Verdict::kConfirmed;
  bool back = told < ours.unix_ns;
  if (back && far > kStep) return Verdict::kBackwards;
  bool agreed = agreeing_ == kAgreeing;
  return agreed || (!back && far <= kStep) ? Verdict::kConfirmed : Verdict::kFar;
}

}  // namespace net
