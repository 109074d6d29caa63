// SPDX-License-Identifier: GPL-2.0-or-later
// Who takes part in the next step, with how many tokens, on which pages.
//
// Requests are served in the order they came. Every running request that decodes gets its row in
// every step; prompts share what is left of the step, so a long prompt never holds up an answer.
// When pages run out the youngest running request is put back and later computed again: sampler,
// text and clock are kept, so nobody can tell from its answer. A request that is alone and still
// finds too few pages waits while score(), embed() or restore() hold some, else it is an error.
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
  static constexpr u32 kMostDrafts = kMaxDraft + 1;  // of all requests together in one step
  // Prompt tokens of a step in which somebody decodes, while nothing is known of their cost. Then
  // as many as make the step about three times as long as one without, but at least kLeastChunk,
  // one tile of the products.
  static constexpr u32 kMixedChunk = 64, kLeastChunk = 16;
  // A step with nobody decoding is as long as somebody new may have to wait.
  static constexpr u64 kLongestStepNs = 1'000'000'000;

  static StepLimits step_limits(const SchedulerLimits& limits);
  static Result<base::Owner<Scheduler>> create(Platform& platform, KvStore& store,
                                               const Model& model, const SchedulerLimits& limits);
  Scheduler(Platform& platform, KvStore& store, const Model& model, const SchedulerLimits& limits)
      : platform_(platform), store_(store), model_(model), limits_(limits) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  bool queue_full() const;
  // Takes ownership; there is room when queue_full() was false.
  void add(base::Owner<Session> session);
  Session* find(RequestId id);
  u32 count(SessionState state) const;
  u32 slots_used() const { return slots_.used(); }

  // Fills rows(), views() and taking_part(). A request that cannot be served at all ends here.
  void plan(u64 now_ns, const StepCosts& costs);
  std::span<const BatchRow> rows() const { return rows_.view(); }
  std::span<const KvView> views() const { return views_.view(); }
  std::span<Session* const> taking_part() const { return taking_part_.view(); }
  u32 logit_rows() const { return logit_rows_; }
  // Every request of the step has ended meanwhile.
  bool nobody_waits() const;

  // Is the session one of those that the step computes?
  bool takes_part(const Session& session) const;

  // The session's pages and state go back; with `remember` for whoever begins alike. A session
  // that has none is left as it is.
  void release(Session& session, bool remember);
  // The session begins anew with other tokens: `change` changes them.
  template <class Change>
  void restart(Session& session, Change&& change) {
    release(session, true);
    change();
    if (!start(session, 0).has_value()) session.state = SessionState::kQueued;
  }
  // Removes what has ended; the step's list is of no use afterwards.
  void remove_ended();

 private:
  void admit(u64 now_ns);
  bool must_wait(const Session& session) const;
  // Takes what is there of its pages. An error leaves it as it was: it can wait.
  Result<void> start(Session& session, u64 now_ns);
  void share_rows(const StepCosts& costs);
  u32 chunk(const StepCosts& costs) const;
  void guess(const StepCosts& costs);
  void reserve_pages();
  bool make_room(Session& session);
  void put_back(Session& session);
  bool held_by_others(const Session& alone) const;
  void collect();
  bool shareable() const { return model_.state_bytes() == 0; }

  Platform& platform_;
  KvStore& store_;
  const Model& model_;
  SchedulerLimits limits_;
  StateSlots slots_;                       // of a recurrent model, one a running request
  Vector<base::Owner<Session>> sessions_;  // in the order they came
  Vector<BatchRow> rows_;
  Vector<KvView> views_;
  Vector<Session*> taking_part_;
  u32 logit_rows_ = 0;
};

}  // namespace ai
