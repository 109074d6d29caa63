// SPDX-License-Identifier: GPL-2.0-or-later
// The checking of answers and of their speed.
#include <algorithm>

#include "console/stability.h"
#include "kernel/time/clock.h"

namespace console {

void Checker::begin(Oracle& wanted, bool record) {
  *this = Checker();
  oracle = &wanted;
  record_ = record;
}

void Checker::on_token(const ai::TokenEvent& event) {
  if (event.id == ai::Tokenizer::kNoToken) return;
  hash_ = (hash_ ^ event.id ^ event.logits_hash) * 0x100000001b3;
  if (record_) {
    recorded_ = oracle->hashes.push_back(hash_).has_value() && recorded_;
  } else {
    bool same = tokens < oracle->hashes.size() && oracle->hashes[tokens] == hash_;
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

void DriftWatch::add(Oracle& oracle, u64 decode_ns) {
  constexpr u32 kFirst = 3;  // answers that make the usual time
  all_ns_ += decode_ns;
  all_count_++;
  if (oracle.measured < kFirst) {
    oracle.usual_ns = (oracle.usual_ns * oracle.measured + decode_ns) / (oracle.measured + 1);
    oracle.measured++;
    return;
  }
  spent_ns_ += decode_ns;
  usual_ns_ += oracle.usual_ns;
  if (++count_ < kWindow) return;
  windows_++;
  mean_ns_ = spent_ns_ / count_;
  percent_ = spent_ns_ > usual_ns_ && usual_ns_ > 0 ? (spent_ns_ - usual_ns_) * 100 / usual_ns_ : 0;
  worst_ = std::max(worst_, percent_);
  slow_windows_ = percent_ > kMostPercent ? slow_windows_ + 1 : 0;
  found_ = found_ || slow_windows_ >= kWindows;
  spent_ns_ = usual_ns_ = count_ = 0;
}

}  // namespace console
