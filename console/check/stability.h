// SPDX-License-Identifier: GPL-2.0-or-later
// Hours of mixed work whose every answer is known. The engine gives the same bits for the same
// question however it is asked, so the first answers are the oracle for all later ones.
#pragma once

#include "console/shell/model_use.h"
#include "kernel/base/hash.h"
#include "kernel/mm/memory.h"

namespace console {

constexpr u32 kStabilityPrompts = 6;
constexpr u32 kStabilityAnswerTokens = 24;

// What a question must give: hashes after each token, so that a cancelled answer is checked too.
struct Oracle {
  Vector<ai::TokenId> prompt;
  Vector<u64> hashes;
};

// Whether steps become slower for good. A busy host delays many steps, never all of them: the
// quickest step of a window is what the machine can do, and hardly moves with the load.
class DriftWatch {
 public:
  void add_step(u64 ns);  // one token of a request that runs alone
  void add_answer(u64 decode_ns);

  u64 percent() const { return percent_; }  // slower than usual in the last whole window
  u64 worst() const { return worst_; }
  bool found() const { return found_; }
  bool judged() const { return windows_ >= kFirst + kSlow; }  // false: too few steps to tell
  u64 steps() const { return u64{windows_} * kWindow + steps_; }
  static constexpr u64 needed() { return u64{kFirst + kSlow} * kWindow; }  // steps
  u64 step_ns() const { return windows_ == 0 ? quickest_ns_ : floor_ns_; }
  u64 usual_ns() const { return windows_ == 0 ? quickest_ns_ : usual_ns_; }
  // Of an answer, in the last window; of all answers as long as there was none.
  u64 mean_ns() const { return answers_ == 0 || mean_ns_ != 0 ? mean_ns_ : spent_ns_ / answers_; }

 private:
  static constexpr u32 kWindow = 100;      // steps
  static constexpr u32 kFirst = 3;         // windows whose slowest is the usual
  static constexpr u32 kSlow = 3;          // in succession: a fault
  static constexpr u64 kMostPercent = 40;  // slower than usual; wiki/Measuring tells what is seen
  void judge();
  u64 quickest_ns_ = 0, spent_ns_ = 0;  // of the window that is being filled
  u64 floor_ns_ = 0, mean_ns_ = 0;      // of the last whole one
  u64 usual_ns_ = 0, percent_ = 0, worst_ = 0;
  u32 steps_ = 0, answers_ = 0, windows_ = 0, slow_ = 0;
  bool found_ = false;
};

// Whether memory is given back: no more pages of a purpose, and no more heap, after a round than
// after the first ones, in which buffers grow to their size. What grows in every round is no
// buffer.
class MemoryWatch {
 public:
  struct Leak {
    const char* what = nullptr;  // null: all is well
    u64 bytes = 0;
  };
  Leak after_round();
  bool judged() const { return rounds_ > kWarmRounds; }
  u64 rounds() const { return rounds_; }
  static constexpr u64 needed() { return kWarmRounds + 1; }  // rounds

 private:
  static constexpr u64 kWarmRounds = 32;
  static constexpr u32 kGrowing = 8;  // rounds
  u64 rounds_ = 0;
  mm::Usage most_, last_;  // of the first rounds; of the round before
  u64 most_heap_ = 0;
  u32 growing_[static_cast<usize>(mm::Purpose::kCount)] = {};  // rounds in succession
};

// A model under test, and what it must give.
struct Subject {
  service::ModelFile file;
  Oracle oracles[kStabilityPrompts];
  u64 checksum = 0;  // of its weights in memory
  DriftWatch drift;
  MemoryWatch memory;
};

// What was counted; kept on disk so that a run can go on after a restart.
struct StabilityFigures {
  u64 seconds = 0, rounds = 0, answers = 0, cancelled = 0, tokens = 0, switches = 0, requests = 0;
  u64 wrong = 0, failed = 0, leaks = 0, stalls = 0;
  u64 worst_drift = 0;  // percent
  // Whether the weights changed, steps stayed slow, and there was enough to tell: 0 or 1.
  u64 weights = 0, drifts = 0, judged = 0;
};

// What is broken on purpose, so that a person can see it found.
enum class Plant : u8 { kNothing, kBit, kPage, kStall, kDrift };

struct StabilityPlan {
  u64 ns = 0, tokens = 0;  // whichever is set ends it
  u64 seed = 1;
  Plant plant = Plant::kNothing;
  bool resume = false;
  Vector<String> others;  // models to switch to
};

// One answer, compared as it comes.
class Checker final : public ai::RequestSink {
 public:
  void begin(Oracle& oracle, bool record);
  void on_prefill(u32, u32) override {}
  void on_token(const ai::TokenEvent& event) override;
  void on_end(ai::FinishReason why, const ai::Timings& timings, const Error* error) override;

  u32 tokens = 0;
  u32 cancel_after = ~0u;
  u64 decode_ns = 0;
  u64 slow_ns = 0;  // planted: each token takes this much longer
  bool wrong = false, failed = false, ended = false;
  Oracle* oracle = nullptr;

 private:
  bool record_ = false, recorded_ = true;
  base::Fnv1a hash_;

 public:
  service::HeldRequest held;  // last: it is cancelled while the rest still stands
};

// Breaks something. Everything is made whole again by restore(), which must have been called when
// this is destroyed.
class Planter {
 public:
  explicit Planter(Plant kind) : kind_(kind) {}
  ~Planter() { ASSERT(!flipped_ && leaked_.empty()); }
  Planter(const Planter&) = delete;
  Planter& operator=(const Planter&) = delete;

  // Once a round, from the moment it is to be broken.
  Result<void> after_round(const ai::Lease& model);
  u64 rounds() const { return rounds_; }  // since then; 0: nothing was broken
  void restore(const ai::Lease& model);
  u64 slow_ns(u64 step_ns) const;  // of each token

 private:
  Result<void> stall_a_worker();
  Plant kind_;
  u64 rounds_ = 0;
  bool flipped_ = false;
  Vector<std::span<Byte>> leaked_;
};

// One request to the machine's own server over the loopback; kNotFound when there is none. What it
// answered, without what differs each time.
Result<String> ask_own_server(Io& io);

std::string_view plant_name(Plant plant);  // as --plant takes it

// "90s", "10m", "1h", "3d": nanoseconds. A bare number: tokens.
Result<StabilityPlan> parse_stability(std::span<const std::string_view> words);

}  // namespace console
