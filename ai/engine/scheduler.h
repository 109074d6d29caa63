// SPDX-License-Identifier: GPL-2.0-or-later
// The scheduler: decides which requests take part in the next step, with how many tokens, on which
// KV pages. The engine owns it and calls it on the engine's thread; nothing here waits or computes.
//
// Requests start in the order they came. Every request that decodes gets one row in every step.
// Prompts share the remaining rows, so a long prompt never holds up another request's answer. When
// pages run out, the youngest running request is put back into the queue and computed again later;
// it keeps its sampler, text and clock, so its answer is the same. A request that runs alone and
// still finds too few pages waits while score(), embed() or restore() hold some; otherwise it ends
// with an error.
#pragma once

#include "ai/engine/session.h"
#include "ai/models/model.h"

namespace ai {

struct SchedulerLimits {
  u32 max_requests = 8, max_queued = 64;
  u32 prefill_chunk = 128;
  bool speculate = true;
};

class Scheduler {
 public:
  // The prompt tokens that a step may read while requests decode. kMixedChunk holds until the cost
  // of reading is known. After that the chunk is chosen so that the step takes about three times as
  // long as one without a prompt. kLeastChunk is the lower bound, one tile of the products.
  static constexpr u32 kMixedChunk = 64, kLeastChunk = 16;
  // With nobody decoding, a step may take this long. It is also how long a new request may have to
  // wait.
  static constexpr u64 kLongestStepNs = 1'000'000'000;

  static StepLimits step_limits(const SchedulerLimits& limits);
  static Result<base::Owner<Scheduler>> create(Platform& platform, KvStore& store,
                                               const Model& model, const SchedulerLimits& limits);
  Scheduler(Platform& platform, KvStore& store, const Model& model, const SchedulerLimits& limits)
      : platform_(platform), store_(store), model_(model), limits_(limits) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  bool queue_full() const;
  // Takes ownership. There is room if queue_full() returned false.
  void add(base::Owner<Session> session);
  Session* find(RequestId id);
  u32 count(SessionState state) const;
  u32 slots_used() const { return slots_.used(); }

  // Begins to plan the next step: chooses who takes part, and guesses by lookup. `costs` are the
  // measured times of earlier steps.
  void begin_plan(u64 now_ns, const StepCosts& costs);
  // Ends the plan and fills rows(), views() and taking_part(). Requests may have been cancelled
  // since begin_plan(), and may have got other guesses. A request that can never be served ends
  // here.
  void finish_plan();
  // Every request, in the order they came.
  std::span<const base::Owner<Session>> sessions() const { return sessions_.view(); }
  std::span<const BatchRow> rows() const { return rows_.view(); }
  std::span<const KvView> views() const { return views_.view(); }
  std::span<Session* const> taking_part() const { return taking_part_.view(); }
  u32 logit_rows() const { return logit_rows_; }
  // Returns true when every request of the current step has ended, so that the model can stop
  // computing it.
  bool nobody_waits() const;

  // Returns true if the current step computes this session.
  bool takes_part(const Session& session) const;

  // Gives the session's pages and state back. With `remember`, the prefix cache keeps them for
  // texts with the same beginning. Does nothing for a session without pages.
  void release(Session& session, bool remember);
  // Starts the session again with other tokens, which `change` puts in place.
  template <class Change>
  void restart(Session& session, Change&& change) {
    release(session, true);
    change();
    if (!start(session, 0).has_value()) session.state = SessionState::kQueued;
  }
  // Destroys the sessions that have ended. taking_part() is empty afterwards.
  void remove_ended();

 private:
  void admit(u64 now_ns);
  bool must_wait(const Session& session) const;
  // Gives the session what is cached of its pages. On an error the session is unchanged and keeps
  // waiting.
  Result<void> start(Session& session, u64 now_ns);
  void share_rows(const StepCosts& costs);
  u32 chunk(const StepCosts& costs) const;
  void guess(const StepCosts& costs);
  void reserve_pages();
  bool make_room(Session& session);
  void put_back(Session& session);
  bool held_by_others(const Session& alone) const;
  void collect();
  // Pages can be shared between texts; a recurrent state cannot.
  bool shareable() const { return model_.state_bytes() == 0; }

  Platform& platform_;
  KvStore& store_;
  const Model& model_;
  SchedulerLimits limits_;
  StateSlots slots_;                       // for recurrent models, one per running request
  Vector<base::Owner<Session>> sessions_;  // in the order they came
  Vector<BatchRow> rows_;
  Vector<KvView> views_;
  Vector<Session*> taking_part_;
  u32 logit_rows_ = 0;
};

}  // namespace ai
