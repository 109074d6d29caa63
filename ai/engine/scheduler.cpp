// SPDX-License-Identifier: GPL-2.0-or-later
// Plans one step: chooses the sessions that take part, how many tokens each computes, and the KV
// pages they need. See the header for the policy.
#include "ai/engine/scheduler.h"

namespace ai {

// Returns the most rows that any plan can have: a full chunk of prompts, one row per decoding
// request, and the guesses.
StepLimits Scheduler::step_limits(const SchedulerLimits& limits) {
  return {.rows = limits.prefill_chunk + limits.max_requests + kMostDrafts,
          .logit_rows = limits.max_requests + kMostDrafts};
}

Result<base::Owner<Scheduler>> Scheduler::create(Platform& platform, KvStore& store,
                                                 const Model& model,
                                                 const SchedulerLimits& limits) {
  auto s = TRY(base::make<Scheduler>(platform, store, model, limits));
  // Ended sessions stay in the list until the step is over, while their sinks may already have
  // submitted successors. So the list needs twice the room.
  TRY(s->sessions_.reserve(2 * (usize{limits.max_requests} + limits.max_queued)));
  TRY(s->rows_.reserve(step_limits(limits).rows));
  TRY(s->views_.reserve(limits.max_requests));
  TRY(s->taking_part_.reserve(limits.max_requests));
  s->slots_ = TRY(StateSlots::create(platform, limits.max_requests, model.state_bytes()));
  return s;
}

bool Scheduler::queue_full() const {
  return count(SessionState::kQueued) >= limits_.max_queued ||
         sessions_.size() == sessions_.capacity();
}

void Scheduler::add(base::Owner<Session> session) {
  ASSERT(sessions_.size() < sessions_.capacity());
  MUST(sessions_.push_back(std::move(session)));
}

Session* Scheduler::find(RequestId id) {
  for (auto& s : sessions_)
    if (s->id == id && s->alive()) return s.get();
  return nullptr;
}

u32 Scheduler::count(SessionState state) const {
  u32 n = 0;
  for (const auto& s : sessions_) n += s->state == state;
  return n;
}

// The order matters: whether guessing pays depends on the number of rows, and pages can only be
// reserved once all rows are known. Reserving pages may put requests back, so rows() is filled
// last.
void Scheduler::begin_plan(u64 now_ns, const StepCosts& costs) {
  admit(now_ns);
  share_rows(costs);
  if (limits_.speculate && shareable()) guess(costs);
}

void Scheduler::finish_plan() {
  for (auto& s : sessions_)
    if (s->state != SessionState::kRunning) s->rows = s->drafts = 0;
  reserve_pages();
  collect();
}

// Starts queued requests in the order they came, and stops at the first one that does not fit, so
// that no small request can overtake a large one for ever.
void Scheduler::admit(u64 now_ns) {
  u32 running = count(SessionState::kRunning);
  for (usize i = 0; i < sessions_.size() && running < limits_.max_requests; i++) {
    Session& s = *sessions_[i];
    if (s.state != SessionState::kQueued || must_wait(s)) continue;
    // The whole text must fit at once. A request that starts with too few pages would only evict
    // others and be put back itself.
    bool shared = running > 0 || store_.held() > 0;
    if (shared && !store_.has_room(static_cast<u32>(s.tokens.size()) + 1)) return;
    if (s.away) continue;  // it comes next, so its pages are fetched now
    if (!start(s, now_ns).has_value()) return;
    running++;
  }
}

// Returns true if another request is reading the same beginning right now, or is the parent of this
// choice: once that one is done, its pages can be shared instead of computed twice.
bool Scheduler::must_wait(const Session& session) const {
  if (!shareable()) return false;
  std::span<const TokenId> wanted = session.tokens.view().first(session.tokens.size() - 1);
  for (const auto& other : sessions_) {
    if (&*other == &session || !other->alive()) continue;
    if (other->id == session.fork_of && !other->prompt_done) return true;
    if (other->state != SessionState::kRunning || other->pending() < 2) continue;
    if (!session.cache_prompt || !other->cache_prompt) continue;
    std::span<const TokenId> has = other->tokens.view();
    usize most = std::min(has.size(), wanted.size());
    auto common = std::mismatch(has.begin(), has.begin() + most, wanted.begin()).first;
    u32 whole = static_cast<u32>(common - has.begin()) / store_.page_positions();
    if (whole * store_.page_positions() > store_.known(wanted)) return true;
  }
  return false;
}

// Gives the session whatever part of its text is already in KV pages, or a state slot if the model
// is recurrent.
Result<void> Scheduler::start(Session& session, u64 now_ns) {
  // the last token is always computed: its logits are wanted
  u32 most = static_cast<u32>(session.tokens.size()) - 1;
  if (shareable()) {
    Session* parent = session.fork_of == 0 || session.prompt_done ? nullptr : find(session.fork_of);
    bool forked =
        parent != nullptr && parent->state == SessionState::kRunning &&
        store_.fork(parent->sequence, session.sequence, std::min(parent->sequence.length, most));
    if (!forked && session.cache_prompt)
      store_.adopt(session.sequence, session.tokens.view(), most);
  } else {
    session.slot = TRY(slots_.take());
  }
  if (!session.prompt_done) session.timings.cached_tokens = session.sequence.length;
  session.state = SessionState::kRunning;
  session.clock.work_begins(now_ns);
  return {};
}

// Returns how many prompt tokens this step may read. While requests decode, it keeps the step to
// about three times the time of one without a prompt.
u32 Scheduler::chunk(const StepCosts& costs) const {
  u32 decoding = 0;
  for (const auto& s : sessions_)
    decoding += s->state == SessionState::kRunning && s->pending() == 1;
  u64 budget = decoding > 0 ? 2 * costs.step_ns(decoding) : kLongestStepNs;
  u32 rows = budget == 0 ? 0 : costs.rows_within(budget);
  if (rows == 0) rows = decoding > 0 ? kMixedChunk : limits_.prefill_chunk;
  return std::min(std::max(rows, kLeastChunk), limits_.prefill_chunk);
}

// Decoding requests get one row each. Prompts share the chunk in the order they came.
void Scheduler::share_rows(const StepCosts& costs) {
  u32 left = chunk(costs);
  for (auto& s : sessions_) {
    s->rows = s->drafts = 0;
    s->guessed_by_model = false;
    if (s->state != SessionState::kRunning) continue;
    s->rows = s->pending() == 1 ? 1 : std::min(s->pending(), left);
    if (s->pending() > 1) left -= s->rows;
  }
}

// Proposes draft tokens for requests that decode. All requests share kMostDrafts, and each one's
// own hit rate decides whether it may guess.
void Scheduler::guess(const StepCosts& costs) {
  u32 left = kMostDrafts, rows = 0;
  for (auto& s : sessions_) rows += s->rows;
  for (auto& s : sessions_) {
    if (!s->may_guess()) continue;
    u32 most = std::min({s->draft_policy.wanted(costs, rows), s->guess_room(), left});
    s->drafts = most == 0 ? 0 : find_draft(s->tokens.view(), std::span(s->draft).first(most));
    if (s->drafts == 0) s->draft_policy.idle();
    left -= s->drafts;
  }
}

// Takes pages for every row. A request that is put back on the way keeps no rows.
void Scheduler::reserve_pages() {
  for (auto& s : sessions_) {
    while (s->rows > 0) {
      u32 until = s->sequence.length + s->rows + s->drafts;
      if (store_.extend(s->sequence, until).has_value() || !make_room(*s)) break;
    }
  }
}

// Frees pages for `session`: first it drops the session's guesses, then it puts back the youngest
// running request. Returns false if `session` itself had to give way.
bool Scheduler::make_room(Session& session) {
  if (session.drafts > 0) {
    session.drafts = 0;
    return true;
  }
  Session* youngest = nullptr;
  for (auto& s : sessions_)
    if (s->state == SessionState::kRunning) youngest = s.get();
  if (youngest != &session) {
    put_back(*youngest);
    return true;
  }
  if (count(SessionState::kRunning) > 1 || held_by_others(session)) {
    put_back(session);
    return false;
  }
  log(platform_, LogLevel::kError, "request {}: {} tokens need {} KV pages, the pool has {}",
      session.id, session.tokens.size(), store_.pages_for(session.sequence.length + session.rows),
      store_.pool().total());
  Error error{Errc::kFull, "the KV pool is too small for this request"};
  release(session, false);
  session.rows = 0;
  session.finish(FinishReason::kError, &error);
  return false;
}

// `alone` is the only running request. Pages held beyond its own belong to a score(), embed() or
// restore() and will come back. None of them holds window pages alone.
bool Scheduler::held_by_others(const Session& alone) const {
  return store_.pool().held() > alone.sequence.pages.size();
}

// The tokens, the sampler and the clock stay with the session. Only its pages go, so it can be
// computed again.
void Scheduler::put_back(Session& session) {
  log(platform_, LogLevel::kDebug, "request {} put back at {} tokens: every KV page is in use",
      session.id, session.tokens.size());
  release(session, true);
  session.state = SessionState::kQueued;
  session.rows = session.drafts = 0;
}

// Writes the plan into flat arrays for the model: rows (one token each), views (the pages of each
// sequence) and sessions, all in the same order. Only a row whose logits are needed has them
// computed.
void Scheduler::collect() {
  rows_.clear();
  views_.clear();
  taking_part_.clear();
  logit_rows_ = 0;
  for (auto& s : sessions_) {
    if (s->rows == 0) continue;
    u32 sequence = static_cast<u32>(views_.size()), first = s->sequence.length;
    bool last_read = s->rows == s->pending();
    s->first_logits = logit_rows_;
    logit_rows_ += last_read ? 1 + s->drafts : 0;
    for (u32 i = 0; i < s->rows; i++)
      MUST(rows_.push_back(
          {s->tokens[first + i], first + i, sequence, last_read && i + 1 == s->rows}));
    for (u32 i = 0; i < s->drafts; i++)
      MUST(rows_.push_back({s->draft[i], first + s->rows + i, sequence, true}));
    MUST(views_.push_back(
        {store_.pages(s->sequence), store_.window_pages(s->sequence), s->slot.bytes()}));
    MUST(taking_part_.push_back(s.get()));
  }
}

bool Scheduler::nobody_waits() const {
  return !taking_part_.empty() &&
         std::ranges::none_of(taking_part_.view(), [](const Session* s) { return s->alive(); });
}

bool Scheduler::takes_part(const Session& session) const {
  return std::ranges::find(taking_part_.view(), &session) != taking_part_.view().end();
}

void Scheduler::release(Session& session, bool remember) {
  store_.end(session.sequence, session.tokens.view(),
             remember && session.cache_prompt && shareable());
  session.slot = {};
}

void Scheduler::remove_ended() {
  taking_part_.clear();
  for (usize i = sessions_.size(); i > 0; i--)
    if (!sessions_[i - 1]->alive()) sessions_.erase(i - 1);
}

}  // namespace ai
