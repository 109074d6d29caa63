// SPDX-License-Identifier: GPL-2.0-or-later
// Hours of mixed work whose answers are all known. The engine gives the same bits for the same
// question in every situation, so the first answers are the oracle for all later ones. Runs on the
// shell's thread.
#pragma once

#include "console/shell/model_use.h"
#include "kernel/base/hash.h"
#include "kernel/mm/memory.h"

namespace console {

constexpr u32 kStabilityPrompts = 6;
constexpr u32 kStabilityAnswerTokens = 24;

// The expected answer to a question: hashes after each token, so that a cancelled answer can be
// checked, too.
struct Oracle {
  Vector<ai::TokenId> prompt;
  Vector<u64> hashes;
};

// Notices when steps become slower for good. A busy host delays many steps but never all of them:
// the fastest step of a window shows what the machine can do, and hardly depends on the load.
class DriftWatch {
 public:
  void add_step(u64 ns);  // the time of one token of a request that runs alone
  void add_answer(u64 decode_ns);

  u64 percent() const { return percent_; }  // how much slower the last whole window was than usual
  u64 worst() const { return worst_; }
  bool found() const { return found_; }
  // false: there were too few steps for a verdict
  bool judged() const { return windows_ >= kFirst + kSlow; }
  u64 steps() const { return u64{windows_} * kWindow + steps_; }
  // steps that a verdict needs
  static constexpr u64 needed() { return u64{kFirst + kSlow} * kWindow; }
  u64 step_ns() const { return windows_ == 0 ? quickest_ns_ : floor_ns_; }
  u64 usual_ns() const { return windows_ == 0 ? quickest_ns_ : usual_ns_; }
  // Returns the time of one answer in the last window, or over all answers while there was no
  // window.
  u64 mean_ns() const { return answers_ == 0 || mean_ns_ != 0 ? mean_ns_ : spent_ns_ / answers_; }

 private:
  static constexpr u32 kWindow = 100;  // steps
  static constexpr u32 kFirst = 3;     // the slowest of these windows is the usual speed
  static constexpr u32 kSlow = 3;      // this many slow windows in succession are a fault
  // slower than usual by more is slow; wiki/Measuring says what that detects
  static constexpr u64 kMostPercent = 40;
  void judge();
  u64 quickest_ns_ = 0, spent_ns_ = 0;  // of the window that is being filled
  u64 floor_ns_ = 0, mean_ns_ = 0;      // of the last whole window
  u64 usual_ns_ = 0, percent_ = 0, worst_ = 0;
  u32 steps_ = 0, answers_ = 0, windows_ = 0, slow_ = 0;
  bool found_ = false;
};

// Notices memory that is not given back: after a round there must be no more pages of a purpose,
// and no more heap, than after the first rounds, in which buffers grow to their size. Something
// that grows in every round is not a buffer.
class MemoryWatch {
 public:
  struct Leak {
    const char* what = nullptr;  // null: no leak
    u64 bytes = 0;
  };
  Leak after_round();
  bool judged() const { return rounds_ > kWarmRounds; }
  u64 rounds() const { return rounds_; }
  static constexpr u64 needed() { return kWarmRounds + 1; }  // rounds that a verdict needs

 private:
  static constexpr u64 kWarmRounds = 32;
  static constexpr u32 kGrowing = 8;  // rounds
  u64 rounds_ = 0;
  mm::Usage most_, last_;  // of the first rounds; of the previous round
  u64 most_heap_ = 0;
  // rounds in succession in which it grew
  u32 growing_[static_cast<usize>(mm::Purpose::kCount)] = {};
};

// A model under test and its expected answers.
struct Subject {
  service::ModelFile file;
  Oracle oracles[kStabilityPrompts];
  u64 checksum = 0;  // of its weights in memory
  DriftWatch drift;
  MemoryWatch memory;
};

// The counts, which are kept on disk so that a run can continue after a restart.
struct StabilityFigures {
  u64 seconds = 0, rounds = 0, answers = 0, cancelled = 0, tokens = 0, switches = 0, requests = 0;
  u64 wrong = 0, failed = 0, leaks = 0, stalls = 0;
  u64 worst_drift = 0;  // percent
  // 0 or 1: the weights changed; steps stayed slow; there was enough work for a verdict.
  u64 weights = 0, drifts = 0, judged = 0;
};

// The faults that can be planted, so that a person can see that they are found.
enum class Plant : u8 { kNothing, kBit, kPage, kStall, kDrift };

struct StabilityPlan {
  u64 ns = 0, tokens = 0;  // the one that is set ends the run
  u64 seed = 1;
  Plant plant = Plant::kNothing;
  bool resume = false;
  Vector<String> others;  // models to switch to
};

// One answer, compared token by token as it comes.
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
  // last, so that its destructor cancels the request while the rest still exists
  service::HeldRequest held;
};

// Plants a fault. restore() repairs it, and must have been called before the destructor.
class Planter {
 public:
  explicit Planter(Plant kind) : kind_(kind) {}
  ~Planter() { ASSERT(!flipped_ && leaked_.empty()); }
  Planter(const Planter&) = delete;
  Planter& operator=(const Planter&) = delete;

  // Called once a round, from the moment when the fault is to be planted. May sleep, and keeps the
  // workers busy for a while to plant a stall.
  Result<void> after_round(const ai::Lease& model);
  u64 rounds() const { return rounds_; }  // rounds since then; 0: nothing was planted
  void restore(const ai::Lease& model);
  u64 slow_ns(u64 step_ns) const;  // added to each token

 private:
  Result<void> stall_a_worker();
  Plant kind_;
  u64 rounds_ = 0;
  bool flipped_ = false;
  Vector<std::span<Byte>> leaked_;
};

// Sends one request to the machine's own server over the loopback. Returns the answer without the
// parts that differ each time, or kNotFound if no server is running.
Result<String> ask_own_server(Io& io);

std::string_view plant_name(Plant plant);  // as --plant takes it

// Parses "90s", "10m", "1h", "3d" to nanoseconds, and a bare number to tokens.
Result<StabilityPlan> parse_stability(std::span<const std::string_view> words);

}  // namespace console
