// SPDX-License-Identifier: GPL-2.0-or-later
// Checks answers and their speed.
#include <algorithm>

#include "console/check/stability.h"
#include "kernel/time/clock.h"

namespace console {

void Checker::begin(Oracle& wanted, bool record) {
  *this = Checker();
  oracle = &wanted;
  record_ = record;
}

void Checker::on_token(const ai::TokenEvent& event) {
  if (event.id == ai::Tokenizer::kNoToken) return;
  hash_.add(event.id ^ event.logits_hash);
  if (record_) {
    recorded_ = oracle->hashes.push_back(hash_.value()).has_value() && recorded_;
  } else {
    bool same = tokens < oracle->hashes.size() && oracle->hashes[tokens] == hash_.value();
    wrong = wrong || !same;
  }
  tokens++;
  for (u64 end = timing::now_ns() + slow_ns; timing::now_ns() < end;) {
  }
}

void Checker::on_end(ai::FinishReason why, const ai::Timings& t, const Error*) {
  bool cut = why == ai::FinishReason::kCancelled;
  failed =
      why == ai::FinishReason::kError || !recorded_ || (!cut && tokens != kStabilityAnswerTokens);
  decode_ns = t.decode_ns;
  ended = true;
}

void DriftWatch::add_answer(u64 decode_ns) {
  spent_ns_ += decode_ns;
  answers_++;
}

void DriftWatch::add_step(u64 ns) {
  quickest_ns_ = quickest_ns_ == 0 ? ns : std::min(quickest_ns_, ns);
  if (++steps_ == kWindow) judge();
}

void DriftWatch::judge() {
  floor_ns_ = quickest_ns_;
  if (answers_ > 0) mean_ns_ = spent_ns_ / answers_;
  spent_ns_ = quickest_ns_ = steps_ = answers_ = 0;
  if (windows_++ < kFirst) {
    usual_ns_ = std::max(usual_ns_, floor_ns_);
    return;
  }
  percent_ = floor_ns_ > usual_ns_ ? (floor_ns_ - usual_ns_) * 100 / usual_ns_ : 0;
  worst_ = std::max(worst_, percent_);
  slow_ = percent_ > kMostPercent ? slow_ + 1 : 0;
  found_ = found_ || slow_ >= kSlow;
}

}  // namespace console
