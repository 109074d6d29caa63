// SPDX-License-Identifier: GPL-2.0-or-later
// How those who do not step the engine reach it: a lease keeps a model loaded and tells facts of
// it, a job is work that makes no tokens.
#pragma once

#include "ai/engine/engine.h"

namespace ai {

// Counts the leases of each loaded model. Outlives them.
class LeaseKeeper {
 public:
  virtual void lease_ended(u32 slot) = 0;

 protected:
  ~LeaseKeeper() = default;
};

// A loaded model that stays loaded while somebody holds this. It gives facts; requests go through
// whoever keeps the engine. Any thread of CPU 0; the facts need a lease that is not empty.
class Lease {
 public:
  Lease() = default;
  // `model_name` and `engine` live as long as the keeper knows of a lease.
  Lease(LeaseKeeper& keeper, u32 slot, Engine& engine, u64 load_number, std::string_view model_name)
      : keeper_(&keeper),
        engine_(&engine),
        model_(model_name),
        load_number_(load_number),
        slot_(slot) {
    ASSERT(load_number != 0);
  }
  Lease(Lease&& other) noexcept { take(other); }
  Lease& operator=(Lease&& other) noexcept {
    if (this == &other) return *this;
    end();
    take(other);
    return *this;
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() { end(); }

  explicit operator bool() const { return engine_ != nullptr; }
  const ModelInfo& info() const { return engine().info(); }
  const MemoryPlan& plan() const { return engine().plan(); }
  const Tokenizer& tokenizer() const { return engine().tokenizer(); }
  const ChatTemplate* chat_template() const { return engine().chat_template(); }
  const char* kernels_name() const { return engine().kernels_name(); }
  std::string_view model() const { return model_; }  // the name it is loaded under
  u64 load_number() const { return load_number_; }   // tells one load from another; 0: empty
  u32 slot() const { return slot_; }                 // the keeper's

 private:
  friend struct EngineAccess;
  Engine& engine() const {
    ASSERT(engine_ != nullptr);
    return *engine_;
  }
  void end() {
    if (engine_ != nullptr) keeper_->lease_ended(slot_);
    engine_ = nullptr;
  }
  void take(Lease& other) {
    keeper_ = other.keeper_;
    engine_ = std::exchange(other.engine_, nullptr);
    model_ = std::exchange(other.model_, {});
    load_number_ = std::exchange(other.load_number_, 0);
    slot_ = other.slot_;
  }

  LeaseKeeper* keeper_ = nullptr;
  Engine* engine_ = nullptr;
  std::string_view model_;
  u64 load_number_ = 0;
  u32 slot_ = 0;
};

// The keeper's way from a lease to its engine.
struct EngineAccess {
  static Engine& of(const Lease& lease) { return lease.engine(); }
};

class EngineJobs;

// Work that makes no tokens: embeddings, scores, texts saved, restored and forgotten. Its run() is
// called on the engine's thread between two steps, a piece at a time. Its owner keeps it until it
// is neither waiting nor running.
class EngineJob {
 public:
  EngineJob(const EngineJob&) = delete;
  EngineJob& operator=(const EngineJob&) = delete;

  // One piece. True: it wants another turn, behind the other jobs. It may breathe
  // (Platform::breathe), and whoever runs meanwhile finds it running().
  virtual bool run(Engine& engine) = 0;
  bool waiting() const { return state_ == State::kWaiting; }
  bool running() const { return state_ == State::kRunning; }

 protected:
  EngineJob() = default;
  ~EngineJob() { ASSERT(state_ == State::kIdle); }

 private:
  friend class EngineJobs;
  enum class State : u8 { kIdle, kWaiting, kRunning };
  EngineJob* next_ = nullptr;
  EngineJobs* queue_ = nullptr;  // where it waits or runs
  State state_ = State::kIdle;
  bool withdrawn_ = false;  // while it ran: no other turn
};

// The jobs of one engine, first come first served. Any thread of CPU 0; run_one() on the engine's.
class EngineJobs {
 public:
  EngineJobs() = default;
  ~EngineJobs() { ASSERT(empty()); }
  EngineJobs(const EngineJobs&) = delete;
  EngineJobs& operator=(const EngineJobs&) = delete;

  bool empty() const { return first_ == nullptr && running_ == nullptr; }
  bool waiting() const { return first_ != nullptr; }

  void add(EngineJob& job) {
    ASSERT(job.state_ == EngineJob::State::kIdle);
    job.withdrawn_ = false;
    put_last(job);
  }

  // One piece of the first. False: there is none, or one runs (this was called from its breath).
  bool run_one(Engine& engine) {
    if (first_ == nullptr || running_ != nullptr) return false;
    EngineJob& job = *first_;
    take_out(job);
    job.state_ = EngineJob::State::kRunning;
    running_ = &job;
    bool again = job.run(engine);
    running_ = nullptr;
    job.state_ = EngineJob::State::kIdle;
    if (again && !job.withdrawn_)
      put_last(job);
    else
      job.queue_ = nullptr;
    return true;
  }

  // A waiting job leaves its queue. One that runs gets no other turn and stays its owner's to keep
  // until run() has returned. Nothing for the others.
  static void withdraw(EngineJob& job) {
    job.withdrawn_ = true;
    if (!job.waiting()) return;
    std::exchange(job.queue_, nullptr)->take_out(job);
    job.state_ = EngineJob::State::kIdle;
  }

 private:
  void put_last(EngineJob& job) {
    EngineJob** end = &first_;
    while (*end != nullptr) end = &(*end)->next_;
    *end = &job;
    job.queue_ = this;
    job.state_ = EngineJob::State::kWaiting;
  }
  void take_out(EngineJob& job) {
    EngineJob** at = &first_;
    while (*at != &job) at = &(*at)->next_;
    *at = std::exchange(job.next_, nullptr);
  }

  EngineJob* first_ = nullptr;
  EngineJob* running_ = nullptr;
};

}  // namespace ai
