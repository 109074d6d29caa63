// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's step: the scheduler plans it, the model computes it, the sampler picks a token for
// each request, and the request's sink is told.
#include "ai/engine/engine_impl.h"
#include "kernel/base/hash.h"

namespace ai {
namespace {

u64 hash_of(std::span<const float> values) {
  base::Fnv1a hash;
  for (float v : values) hash.add(u64{std::bit_cast<u32>(v)});
  return hash.value();
}

}  // namespace

Result<base::Owner<EngineImpl>> EngineImpl::create(base::Owner<EngineParts> parts,
                                                   Platform& platform, const EngineSizes& sizes) {
  KvStore store = TRY(KvStore::create(platform, sizes.kv));
  auto engine = TRY(base::make<EngineImpl>(std::move(parts), platform, sizes, std::move(store)));
  TRY(engine->create_buffers());
  return engine;
}

// Sessions are destroyed before the store that their pages belong to. store_.clear() wipes the
// tokens of the texts it remembers. Keys and values are not wiped: pages are cleared when they are
// handed out again.
EngineImpl::~EngineImpl() {
  assert_own_thread();
  // otherwise a caller further up the stack is still computing in here
  ASSERT(!stepping_ && uses_ == 0);
  scheduler_.reset();
  store_.clear();
  if (draft_ != nullptr) draft_->store().clear();
}

void EngineImpl::assert_own_thread() const {
  bool called_by_the_engine_s_own_thread = thread_ == nullptr || thread_ == platform_.thread();
  ASSERT(called_by_the_engine_s_own_thread);
}

Result<void> EngineImpl::create_buffers() {
  const Model& model = *parts_->model;
  const Tokenizer& tokens = *parts_->tokenizer;
  StepLimits steps = Scheduler::step_limits(sizes_.limits);
  scheduler_ = TRY(Scheduler::create(platform_, store_, model, sizes_.limits));
  workspace_ = TRY(model.create_workspace(steps));
  TRY(score_rows_.reserve(steps.rows));
  // embed() puts hidden states here: those of a whole text for an encoder.
  usize hidden = usize{parts_->info.encodes ? sizes_.context : 1} * model.params().width;
  TRY(logits_.resize(std::max<usize>(usize{steps.logit_rows} * model.params().vocabulary, hidden)));
  auto sampler = TRY(SamplerWorkspace::create(tokens.size(), sizes_.context));
  sampler_workspace_ = TRY(base::make<SamplerWorkspace>(std::move(sampler)));
  auto log_probabilities = TRY(LogProbabilities::create(tokens.size(), kMostLogprobs));
  log_probabilities_ = TRY(base::make<LogProbabilities>(std::move(log_probabilities)));
  u32 longest = 0;
  for (TokenId id = 0; id < tokens.size(); id++) {
    std::string_view piece = tokens.piece(id);
    longest = std::max(longest, static_cast<u32>(piece.size()));
    // A newline, colon, quote or asterisk ends a sequence for the DRY penalty, as in llama.cpp's
    // defaults: repetitions are not matched across it.
    if (piece.find_first_of("\n:\"*") != piece.npos) sampler_workspace_->dry_breakers().add(id);
  }
  session_context_ =
      TRY(base::make<SessionContext>(SessionContext{tokens, store_, sizes_.context, longest}));
  return {};
}

// Refuses an empty text, tokens outside the vocabulary, and a text that leaves less than `room`
// positions of the context free.
Result<void> EngineImpl::check_tokens(std::span<const TokenId> tokens, u32 room) {
  if (tokens.empty()) return fail(Errc::kInvalidArgument, "the prompt is empty");
  for (TokenId id : tokens)
    if (id >= parts_->tokenizer->size())
      return fail(Errc::kInvalidArgument, "the prompt has a token beyond the vocabulary");
  if (tokens.size() + room <= sizes_.context) return {};
  log(platform_, LogLevel::kWarn,
      "a prompt of {} tokens exceeds the available context size of {} tokens", tokens.size(),
      sizes_.context);
  return fail(Errc::kContextFull, "the prompt exceeds the available context size");
}

Result<void> EngineImpl::check_writes() const {
  if (!parts_->info.encodes) return {};
  return fail(Errc::kUnsupported,
              "this model is an encoder, which gives embeddings and writes no text: load a chat "
              "model for that");
}

Result<void> EngineImpl::check(const Request& request) {
  TRY(check_writes());
  TRY(check_tokens(request.prompt, 1));
  if (request.fork_of != 0)
    if (Session* parent = scheduler_->find(request.fork_of); parent != nullptr)
      if (!std::ranges::equal(request.prompt, parent->tokens.view().first(std::min<usize>(
                                                  parent->tokens.size(), request.prompt.size()))))
        return fail(Errc::kInvalidArgument,
                    "another choice of a request must have the same prompt");
  if (scheduler_->queue_full())
    return fail(Errc::kFull, "too many requests are waiting: try again later");
  return {};
}

Result<RequestId> EngineImpl::submit(const Request& request, RequestSink& sink) {
  TRY(check(request));
  RequestId id = last_id_ + 1 == 0 ? 1 : last_id_ + 1;
  auto session = TRY(Session::create(id, request, sink, *session_context_, platform_.now_ns()));
  last_id_ = id;
  session->away = is_away(*session);
  scheduler_->add(std::move(session));
  return id;
}

void EngineImpl::cancel(RequestId id) {
  if (Session* session = scheduler_->find(id); session != nullptr)
    end(*session, FinishReason::kCancelled, nullptr);
}

void EngineImpl::end(Session& session, FinishReason reason, const Error* error) {
  // While the model computes, it may be writing to this session's pages. Then step() releases them
  // after forward() has returned.
  bool in_use = computing_ && scheduler_->takes_part(session);
  if (!in_use) scheduler_->release(session, reason != FinishReason::kError);
  if (visits_ != nullptr && remembers(session) && reason != FinishReason::kError)
    visits_->ended(session.tokens.view());
  session.finish(reason, error);
  if (!stepping_) scheduler_->remove_ended();
  if (in_use) workspace_->abandoned = scheduler_->nobody_waits();
}

bool EngineImpl::step() {
  assert_own_thread();
  if (stepping_) return false;
  if (running() + queued() == 0) return false;
  Exclusive exclusive(*this);
  scheduler_->begin_plan(platform_.now_ns(), costs_);
  propose_drafts();
  scheduler_->finish_plan();
  // A step without rows either ended a request that cannot be served, or every request waits for
  // pages that a score(), embed() or restore() holds.
  if (scheduler_->rows().empty()) return scheduler_->count(SessionState::kEnded) > 0;
  tell_cached();
  compute();
  for (Session* session : scheduler_->taking_part())
    if (session->alive())
      take_results(*session);
    else
      scheduler_->release(*session, true);
  return true;
}

// The draft model computes, so other threads run meanwhile. The step is not planned yet: a request
// that they cancel gives its pages back at once.
void EngineImpl::propose_drafts() {
  if (draft_ == nullptr) return;
  draft_->propose({scheduler_->sessions(), costs_, *parts_->tokenizer, *sampler_workspace_});
}

void EngineImpl::take_draft(base::Owner<DraftModel> draft) {
  ASSERT(draft_ == nullptr && running() + queued() == 0);
  draft_ = std::move(draft);
  session_context_->draft_store = &draft_->store();
}

// Tells each new request how much of its prompt the prefix cache had. computing_ is set because
// rows and pages are planned already: a request that its sink cancels here is released after the
// step.
void EngineImpl::tell_cached() {
  computing_ = true;
  for (Session* session : scheduler_->taking_part()) {
    u32 cached = session->timings.cached_tokens;
    if (session->prompt_done || cached == 0 || session->sequence.length != cached) continue;
    session->sink.on_prefill(cached, session->prompt_tokens);
  }
  computing_ = false;
}

void EngineImpl::compute() {
  auto logits =
      logits_.view().first(usize{scheduler_->logit_rows()} * parts_->model->params().vocabulary);
  u64 before = platform_.now_ns();
  Result<void> done = forward(scheduler_->rows(), scheduler_->views(), logits);
  u32 rows = static_cast<u32>(scheduler_->rows().size());
  u64 taken = platform_.now_ns() - before;
  if (done.has_value()) {
    // A step without prompt tokens teaches what one more row costs, a step with some teaches what
    // reading a prompt costs.
    if (rows == scheduler_->logit_rows())
      costs_.learn(rows, taken);
    else
      costs_.learn_reading(rows, taken);
  }
  if (done.has_value()) return;
  // One request made the whole batch fail, for example by numbers that are not finite. Each is
  // computed again alone to find it, and only that one ends. A recurrent state has already advanced
  // and cannot be computed twice, so there all of them end.
  bool again = parts_->model->state_bytes() == 0;
  u32 sequence = 0;
  for (Session* session : scheduler_->taking_part()) {
    if (again && session->alive()) done = compute_alone(*session, sequence);
    if (!done.has_value() && session->alive()) {
      Error error = done.error();
      end(*session, FinishReason::kError, &error);
    }
    sequence++;
  }
}

Result<void> EngineImpl::compute_alone(const Session& session, u32 sequence) {
  auto rows = scheduler_->rows();
  usize first = 0;
  while (rows[first].sequence != sequence) first++;
  rows = rows.subspan(first, session.rows + session.drafts);
  usize width = parts_->model->params().vocabulary;
  usize wanted = session.rows == session.pending() ? 1 + session.drafts : 0;
  return forward(rows, scheduler_->views(),
                 logits_.view().subspan(session.first_logits * width, wanted * width));
}

Result<void> EngineImpl::forward(std::span<const BatchRow> rows, std::span<const KvView> views,
                                 std::span<float> logits) {
  computing_ = true;
  workspace_->abandoned = false;
  Result<void> done = parts_->model->forward(rows, views, *workspace_, logits);
  platform_.operation("engine");
  computing_ = false;
  return done;
}

// Books what the step computed for this session, reports the progress of its prompt, and takes
// tokens once the prompt has been read.
void EngineImpl::take_results(Session& session) {
  u32 length = session.sequence.length + session.rows;
  store_.commit(session.sequence, session.tokens.view(), length, remembers(session));
  if (!session.prompt_done) {
    session.sink.on_prefill(length, session.prompt_tokens);
    if (!session.alive()) return;
  }
  if (session.pending() > 0) return;  // the rest of the prompt is for later steps
  if (!std::exchange(session.prompt_done, true)) session.clock.prompt_done(platform_.now_ns());
  take_tokens(session);
}

// Verifies the guesses: row i holds the logits after i guesses. The sampler picks from one row
// after another, exactly as it would without speculation, and goes on while its pick equals the
// guess. The text is therefore the same with and without guesses.
void EngineImpl::take_tokens(Session& session) {
  session.timings.drafted_tokens += session.drafts;
  session.timings.model_drafted_tokens += session.guessed_by_model ? session.drafts : 0;
  u32 accepted = 0;
  for (u32 i = 0;; i++) {
    TokenEvent event{};
    Result<TokenId> token = pick(session, logits_row(session.first_logits + i), event);
    if (!session.alive()) return;
    if (!token.has_value()) {
      Error error = token.error();
      return end(session, FinishReason::kError, &error);
    }
    bool guessed = i < session.drafts && *token == session.draft[i];
    accepted += guessed;
    session.timings.accepted_tokens += guessed;
    session.timings.model_accepted_tokens += guessed && session.guessed_by_model;
    if (!take_token(session, *token, event)) return;
    if (!guessed) break;
    store_.commit(session.sequence, session.tokens.view(), session.sequence.length + 1,
                  remembers(session));
  }
  if (session.guessed_by_model)
    draft_->learn(session, accepted);
  else
    session.draft_policy.learn(session.drafts, accepted);
  store_.cut(session.sequence);
  if (session.tokens.size() >= sizes_.context) slide(session);
}

// Applies the grammar's mask, then samples. Fills the log probabilities of `event` if the request
// wants them.
Result<TokenId> EngineImpl::pick(Session& session, std::span<float> logits, TokenEvent& event) {
  if (session.hash_logits) event.logits_hash = hash_of(logits);
  bool before = session.logprobs > 0 && !session.after_sampling;
  bool after = session.logprobs > 0 && session.after_sampling;
  if (before) log_probabilities_->take(logits, session.logprobs, *sampler_workspace_);
  u64 best[kMostPickLogits];
  usize best_count = 0;
  if (session.report_picks) {
    std::span<const u64> found = highest(logits, kMostPickLogits, *sampler_workspace_);
    std::ranges::copy(found, best);
    best_count = found.size();
  }
  if (session.grammar != nullptr && TRY(session.grammar->mask(logits, platform_)) == 0)
    return fail(
        Errc::kNotFound,
        "the grammar allows no token here: the model's vocabulary cannot continue this text");
  // mask() lets other threads run, and one of them may have cancelled this request.
  if (!session.alive()) return fail(Errc::kCancelled, "cancelled");
  platform_.operation("sampling");
  drawn_.wanted = std::min(session.logprobs, Drawn::kMost);
  TokenId token = TRY(session.sampler.pick(logits, session.tokens.view(), *sampler_workspace_,
                                           after ? &drawn_ : nullptr));
  if (session.report_picks) session.sink.on_pick({token, {best, best_count}});
  platform_.operation("engine");
  if (before) {
    event.logprob_micro = log_probabilities_->of_micro(token);
    event.top = log_probabilities_->top();
  }
  if (after) {
    event.logprob_micro = drawn_.nano;
    event.top = std::span(drawn_.best).first(drawn_.count);
  }
  return token;
}

bool EngineImpl::take_token(Session& session, TokenId token, const TokenEvent& event) {
  auto next = session.accept(token, event, platform_.now_ns(), *session_context_);
  if (!session.alive()) return false;
  if (!next.has_value()) {
    Error error = next.error();
    end(session, FinishReason::kError, &error);
    return false;
  }
  Error full{Errc::kContextFull, "the answer reached the available context size"};
  switch (*next) {
    case Session::Next::kGoOn:
      return true;
    case Session::Next::kStop:
      end(session, FinishReason::kStop, nullptr);
      break;
    case Session::Next::kLength:
      end(session, FinishReason::kLength, nullptr);
      break;
    case Session::Next::kContextFull:
      log(platform_, LogLevel::kWarn,
          "request {}: {} tokens reached the available context size of {} tokens", session.id,
          session.tokens.size(), sizes_.context);
      end(session, FinishReason::kContextFull, &full);
      break;
  }
  return false;
}

void EngineImpl::slide(Session& session) {
  usize before = session.tokens.size();
  if (draft_ != nullptr) draft_->forget(session);
  scheduler_->restart(session, [&] { session.slide(*session_context_); });
  log(platform_, LogLevel::kWarn,
      "request {}: context of {} tokens full, the oldest {} dropped as asked", session.id,
      sizes_.context, before - session.tokens.size());
}

// Holds pages for the whole text at once, so that a text that has been begun can always be
// finished.
Result<EngineImpl::Reading> EngineImpl::begin_reading(std::span<const TokenId> tokens) {
  assert_own_thread();
  if (stepping_)
    return fail(Errc::kBusy, "the engine is in the middle of a step: call again between two steps");
  TRY(check_tokens(tokens, 0));
  u32 count = static_cast<u32>(tokens.size());
  Reading reading{.sequence = TRY(store_.make_sequence(count)), .state = {}};
  TRY(reading.state.resize(parts_->model->state_bytes() / sizeof(float)));
  TRY(store_.extend(reading.sequence, count));
  return reading;
}

void EngineImpl::end_chunk(Reading& reading, std::span<const TokenId> tokens, u32 length,
                           bool remember) {
  store_.commit(reading.sequence, tokens, length, remember);
  MUST(store_.extend(reading.sequence, static_cast<u32>(tokens.size())));
}

Result<void> EngineImpl::score(std::span<const TokenId> tokens, u32 top, ScoreSink& sink) {
  TRY(check_writes());
  Reading reading = TRY(begin_reading(tokens));
  Use use(*this);
  u32 total = static_cast<u32>(tokens.size());
  for (bool wants_more = true; wants_more && reading.sequence.length < total;) {
    TRY(score_chunk(reading, tokens, top, sink, wants_more));
    wants_more = wants_more && sink.on_chunk(reading.sequence.length, total);
  }
  return {};
}

Result<void> EngineImpl::score_chunk(Reading& reading, std::span<const TokenId> tokens, u32 top,
                                     ScoreSink& sink, bool& wants_more) {
  Exclusive exclusive(*this);
  u32 first = reading.sequence.length, count = static_cast<u32>(tokens.size()) - first;
  count = std::min(count, Scheduler::step_limits(sizes_.limits).logit_rows);
  score_rows_.clear();
  for (u32 i = 0; i < count; i++)
    MUST(score_rows_.push_back({tokens[first + i], first + i, 0, true}));
  KvView view = reading.view(store_);
  usize width = parts_->model->params().vocabulary;
  TRY(forward(score_rows_.view(), {&view, 1}, logits_.view().first(count * width)));
  // A recurrent model has nothing to go on from but its state, which is not kept.
  bool remember = sink.goes_on() && parts_->model->state_bytes() == 0;
  end_chunk(reading, tokens, first + count, remember);
  for (u32 i = 0; i < count && wants_more; i++) {
    log_probabilities_->take(logits_row(i), std::min(top, kMostLogprobs), *sampler_workspace_);
    u32 index = first + i + 1;
    bool inside = index < tokens.size();
    wants_more = sink.on_score({index, inside ? tokens[index] : Tokenizer::kNoToken,
                                inside ? log_probabilities_->of_micro(tokens[index]) : 0,
                                log_probabilities_->top()});
  }
  return {};
}

Result<KvFileKey> EngineImpl::file_key() const {
  assert_own_thread();
  if (stepping_)
    return fail(Errc::kBusy, "the engine is in the middle of a step: call again between two steps");
  if (parts_->model->state_bytes() > 0)
    return fail(Errc::kUnsupported,
                "texts of a recurrent model cannot be saved: it has no KV pages");
  return KvFileKey{.model = parts_->info.fingerprint,
                   .cache_type = sizes_.kv_type,
                   .vocabulary = parts_->tokenizer->size(),
                   .context = sizes_.context};
}

Result<u32> EngineImpl::save(std::span<const TokenId> tokens, ByteSink& sink) {
  KvFileKey key = TRY(file_key());
  TRY(check_tokens(tokens, 0));
  Use use(*this);
  return write_kv_file(store_, key, tokens, sink);
}

Result<Vector<TokenId>> EngineImpl::restore(ByteSource& source) {
  KvFileKey key = TRY(file_key());
  Use use(*this);
  return read_kv_file(store_, key, source);
}

}  // namespace ai
