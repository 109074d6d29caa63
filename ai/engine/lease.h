// SPDX-License-Identifier: GPL-2.0-or-later
// Leases and jobs: how threads that do not own the engine use it. A lease keeps a model loaded and
// gives facts about it. A job is work on the engine's thread that makes no tokens.
#pragma once

#include "ai/engine/engine.h"

namespace ai {

// Counts the leases of each loaded model. Outlives every lease.
class LeaseKeeper {
 public:
  virtual void lease_ended(u32 slot) = 0;

 protected:
  ~LeaseKeeper() = default;
};

// Keeps a model loaded for as long as it exists. It gives facts; requests go through the owner of
// the engine (service::EngineHost). Usable on any thread of CPU 0. The facts need a lease that is
// not empty.
class Lease {
 public:
  Lease() = default;
  // `engine` and the text behind `model_name` live until the keeper was told that the lease ended.
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
  u64 load_number() const { return load_number_; }  // differs for every load; 0: the lease is empty
  u32 slot() const { return slot_; }                // the keeper's index

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

// Lets the keeper, and nobody else, get from a lease to its engine.
struct EngineAccess {
  static Engine& of(const Lease& lease) { return lease.engine(); }
};

class EngineJobs;

// Work that makes no tokens: embeddings, scores, saving, restoring and forgetting texts. run() is
// called on the engine's thread between two steps, one piece of the work at a time. The thread that
// created the job owns it and must keep it while it waits or runs.
class EngineJob {
 public:
  EngineJob(const EngineJob&) = delete;
  EngineJob& operator=(const EngineJob&) = delete;

  // Does one piece of work. Returns true to get another turn behind the other jobs. It may breathe
  // (Platform::breathe); threads that run then find the job running().
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
  EngineJobs* queue_ = nullptr;  // the queue it waits or runs in
  State state_ = State::kIdle;
  bool withdrawn_ = false;  // withdrawn while it ran: it gets no further turn
};

// The jobs of one engine, first come first served. Any thread of CPU 0 may add and withdraw; only
// the engine's thread calls run_one().
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

  // Runs one piece of the first job. Returns false when there is none, or when one is running
  // already (this call came from its breathe()).
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

  // Removes a waiting job from its queue. A running job gets no further turn, and its owner must
  // keep it until run() has returned. Does nothing for a job that is neither.
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
