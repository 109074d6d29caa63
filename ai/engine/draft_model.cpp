// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the draft model: chooses for whom it guesses, reads what it has not read of their
// texts, and computes one guess after another for all of them together.
#include "ai/engine/draft_model.h"

#include <limits>

namespace ai {
namespace {

// While other requests decode, they wait for what the draft model reads of a text.
constexpr u32 kSharedReading = 64;
// Reading so many tokens costs about as much as one guess.
constexpr u32 kReadPerGuess = 8;

// Returns which token has the highest logit, and how sure that makes of it: 1 to 6 by its lead.
struct Likeliest {
  TokenId token;
  u32 sureness;
};
Likeliest likeliest(std::span<const float> logits) {
  constexpr float kLeads[] = {0.25f, 0.5f, 1, 2, 4};
  float best = -std::numeric_limits<float>::infinity(), second = best;
  usize at = 0;
  for (usize i = 0; i < logits.size(); i++) {
    if (!(logits[i] > second)) continue;
    second = std::min(logits[i], best);
    if (!(logits[i] > best)) continue;
    best = logits[i];
    at = i;
  }
  u32 sureness = 1;
  for (float lead : kLeads) sureness += best - second >= lead;
  return {static_cast<TokenId>(at), sureness};
}

// A number that lay close to another token's share may give that one with other logits.
u32 sureness_of_draw(float room) {
  constexpr float kRooms[] = {0.01f, 0.025f, 0.05f, 0.1f, 0.2f, 0.4f};
  u32 sureness = 0;
  for (float r : kRooms) sureness += room >= r;
  return sureness;
}

// Returns what is known of the draft model's guesses for a request that was a candidate.
DraftPolicy& policy_of(Session& session) {
  ASSERT(session.model_policy.has_value());
  return *session.model_policy;
}

// Returns how often guesses are right, in 256ths.
u32 hit_rate(const DraftPolicy& policy) {
  return policy.gives(1) - policy.gives(0);
}

}  // namespace

KvShape DraftSizes::kv(const KvPageBytes& page_bytes, u32 page_positions, u32 window) const {
  KvShape shape{.pages = pages,
                .page_bytes = page_bytes.whole,
                .page_positions = page_positions,
                .window = page_bytes.window > 0 ? window : 0,
                .window_page_bytes = page_bytes.window,
                .most_rows = chunk + kMaxDraft};
  if (shape.window == 0) return shape;
  u64 wanted = requests * window_span(window, 1 + kMaxDraft, page_positions) +
               window_span(window, shape.most_rows, page_positions);
  shape.window_pages = static_cast<u32>(std::min<u64>(pages, wanted));
  return shape;
}

u64 DraftSizes::buffer_bytes(u32 model_vocabulary) const {
  return u64{model_vocabulary} * kMostDrafts * sizeof(float) + u64{text} * sizeof(TokenId);
}

Result<base::Owner<DraftModel>> DraftModel::create(base::Owner<DraftParts> parts,
                                                   Platform& platform, const DraftSizes& sizes) {
  const Model& model = *parts->model;
  KvStore store = TRY(KvStore::create(
      platform, sizes.kv(model.kv_page_bytes(), model.kv_page_positions(), model.params().window)));
  auto draft = TRY(base::make<DraftModel>(std::move(parts), platform, sizes, std::move(store)));
  TRY(draft->create_buffers());
  return draft;
}

Result<void> DraftModel::create_buffers() {
  StepLimits limits = sizes_.step_limits();
  workspace_ = TRY(parts_->model->create_workspace(limits));
  TRY(logits_.resize(usize{limits.logit_rows} * parts_->model->params().vocabulary));
  TRY(rows_.reserve(limits.rows));
  TRY(views_.reserve(kMostDrafts));
  TRY(candidates_.reserve(sizes_.requests));
  TRY(candidate_facts_.reserve(sizes_.requests));
  TRY(guesses_.reserve(kMostDrafts));
  return history_.reserve(usize{sizes_.text} + kMaxDraft);
}

void DraftModel::propose(const Round& round) {
  if (broken_) return;
  choose(round);
  plan_reading(round);
  while (!rows_.empty()) {
    Result<void> done = compute();
    if (!done.has_value()) {
      broken_ = true;
      log(platform_, LogLevel::kError,
          "the draft model is not used any more: {}. Answers go on without it", done.error().what);
      return;
    }
    take_logits(round);
    plan_guessing();
  }
  hand_over();
}

// Chooses the requests that it guesses for, and how many tokens. Requests that it does not guess
// for give its pages back if they wait in the queue.
void DraftModel::choose(const Round& round) {
  guesses_.clear();
  candidates_.clear();
  candidate_facts_.clear();
  u32 rows = 0;
  for (const base::Owner<Session>& session : round.sessions) {
    if (session->state == SessionState::kQueued) forget(*session);
    if (session->may_guess()) add_candidate(*session);
    rows += session->rows;
  }
  for (Session* s : candidates_)
    MUST(candidate_facts_.push_back({.policy = &policy_of(*s),
                                     .most = is_worth_reading(*s) ? s->guess_room() : 0,
                                     .looked_up = s->drafts,
                                     .gives = s->draft_policy.gives(s->drafts)}));
  DraftChoice choice = choose_drafts(candidate_facts_.view(), {round.costs, costs_, rows});
  bool probes = choice.requests == 0;
  if (!probes) usual_.pays();
  least_chance_ = choice.least_chance;
  // How many guesses pay depends on the text, too: judge() ends them where they become unsure.
  u32 most = probes ? DraftPolicy::kProbe : kMostDrafts / choice.requests;
  for (usize i = 0; i < candidates_.size(); i++) {
    Session& s = *candidates_[i];
    bool chosen = probes ? guesses_.empty() && policy_of(s).wants_probe() : i < choice.requests;
    u32 wanted = std::min(most, candidate_facts_[i].most);
    if (chosen && !probes) policy_of(s).pays();
    if (chosen && wanted > 0) {
      MUST(guesses_.push_back({.session = &s, .wanted = wanted, .sampler = s.sampler.state()}));
    } else if (s.drafts == 0) {
      policy_of(s).idle();
      usual_.idle();
      s.timings.model_off_tokens++;
    }
  }
}

// Keeps the candidates sorted by their hit rates: what pays for one pays for all before it.
void DraftModel::add_candidate(Session& session) {
  if (!session.model_policy.has_value()) {
    session.model_policy = usual_;
    adopt(session);
  }
  auto rank = [&](Session& s) {
    return is_worth_reading(s) && s.guess_room() > 0 ? policy_of(s).gives(1) : 0;
  };
  usize at = candidates_.size();
  MUST(candidates_.push_back(&session));
  for (; at > 0 && rank(*candidates_[at - 1]) < rank(session); at--)
    candidates_[at] = candidates_[at - 1];
  candidates_[at] = &session;
}

// Returns false for a text that is too long for the draft model, or whose answer will end before
// the guesses have repaid what must be read first.
bool DraftModel::is_worth_reading(Session& session) const {
  u32 length = static_cast<u32>(session.tokens.size());
  if (length + kMaxDraft > sizes_.context) return false;
  u32 unread = length - session.draft_sequence.length;
  u32 to_come =
      session.max_tokens == 0 ? ~u32{0} : session.max_tokens - session.timings.generated_tokens;
  return unread / kReadPerGuess <= to_come;
}

// Gives the session what was read of its text for an earlier request. Its last token is always
// computed, because it gives the first guess.
void DraftModel::adopt(Session& session) {
  if (!session.draft_sequence.pages.empty() || !session.cache_prompt) return;
  store_.adopt(session.draft_sequence, session.tokens.view(),
               static_cast<u32>(session.tokens.size()) - 1);
}

// Takes pages for what is read and guessed. Returns false if there are too few.
bool DraftModel::reserve(Guess& guess) {
  Session& s = *guess.session;
  adopt(s);
  u32 until = static_cast<u32>(s.tokens.size()) + guess.wanted - 1;
  return store_.extend(s.draft_sequence, until).has_value();
}

// Plans the first step: reads what is unread of the texts, a chunk at most. A text that is read to
// its end gives a guess at once; others go on in the next step of the engine.
void DraftModel::plan_reading(const Round& round) {
  rows_.clear();
  views_.clear();
  auto running = std::ranges::count_if(round.sessions, [](const base::Owner<Session>& s) {
    return s->state == SessionState::kRunning;
  });
  u32 left = running > 1 ? std::min(kSharedReading, sizes_.chunk) : sizes_.chunk;
  for (Guess& guess : guesses_) {
    Session& s = *guess.session;
    guess.rows = 0;
    if (!reserve(guess)) continue;
    u32 first = s.draft_sequence.length, unread = static_cast<u32>(s.tokens.size()) - first;
    // One row each does not count, so that nobody waits for a long text of another one.
    u32 rows = unread == 1 ? 1 : std::min(unread, left);
    if (unread > 1) left -= rows;
    for (u32 i = 0; i < rows; i++) add_row(guess, s.tokens[first + i], first + i, i + 1 == unread);
  }
}

// Plans the next step: the last guess of each text that is to get another one.
void DraftModel::plan_guessing() {
  rows_.clear();
  views_.clear();
  for (Guess& guess : guesses_) {
    guess.rows = 0;
    if (guess.made == 0 || guess.made >= guess.wanted || !guess.session->alive()) continue;
    u32 position = static_cast<u32>(guess.session->tokens.size()) + guess.made - 1;
    add_row(guess, guess.tokens[guess.made - 1], position, true);
  }
}

void DraftModel::add_row(Guess& guess, TokenId token, u32 position, bool wants_logits) {
  if (guess.rows++ == 0)
    MUST(views_.push_back({store_.pages(guess.session->draft_sequence),
                           store_.window_pages(guess.session->draft_sequence),
                           {}}));
  u32 sequence = static_cast<u32>(views_.size()) - 1;
  MUST(rows_.push_back({token, position, sequence, wants_logits}));
  guess.wants_token = wants_logits;
}

Result<void> DraftModel::compute() {
  u32 rows = static_cast<u32>(rows_.size());
  auto wanted = std::ranges::count_if(rows_, [](const BatchRow& r) { return r.wants_logits; });
  usize width = parts_->model->params().vocabulary;
  u64 before = platform_.now_ns();
  TRY(parts_->model->forward(rows_.view(), views_.view(), *workspace_,
                             logits_.view().first(static_cast<usize>(wanted) * width)));
  platform_.operation("engine");
  if (std::exchange(warm_, true)) costs_.learn(rows, platform_.now_ns() - before);
  return {};
}

// Books what was read, and picks a guess wherever one is due.
void DraftModel::take_logits(const Round& round) {
  usize width = parts_->model->params().vocabulary, row = 0;
  for (Guess& guess : guesses_) {
    if (guess.rows == 0) continue;
    Session& s = *guess.session;
    if (guess.made == 0)
      store_.commit(s.draft_sequence, s.tokens.view(), s.draft_sequence.length + guess.rows,
                    s.cache_prompt);
    if (guess.wants_token)
      pick(guess, round, logits_.view().subspan(row++ * width, sizes_.vocabulary));
    else
      guess.wanted = 0;  // more of its text is unread
  }
}

// Picks as the request's sampler would, which then is as it was before. A guess that cannot be made
// ends the guesses of this text, and so does one that would end the answer: nothing follows it.
void DraftModel::pick(Guess& guess, const Round& round, std::span<float> logits) {
  Session& s = *guess.session;
  auto give_up = [&] { guess.wanted = guess.made; };
  if (!s.alive()) return give_up();
  // The grammar stands before the first guess. What it forbids later will not be accepted.
  if (guess.made == 0 && s.grammar != nullptr) {
    Result<u32> allowed = s.grammar->mask(logits, platform_);
    if (!allowed.has_value() || *allowed == 0 || !s.alive()) return give_up();
  }
  Likeliest first = likeliest(logits);
  history_.clear();
  MUST(history_.append(s.tokens.view()));
  MUST(history_.append(std::span(guess.tokens).first(guess.made)));
  s.sampler.swap_state(guess.sampler);
  Result<TokenId> token = s.sampler.pick(logits, history_.view(), round.sampler_workspace);
  s.sampler.swap_state(guess.sampler);
  if (!token.has_value() || (!s.ignore_end && round.tokenizer.is_end(*token))) return give_up();
  guess.tokens[guess.made++] = *token;
  bool drawn = s.sampler.params().temperature_milli > 0;
  judge(guess,
        drawn ? sureness_of_draw(s.sampler.room()) : (*token == first.token ? first.sureness : 0));
}

// Ends the guesses of a text when the next one would hardly be right.
void DraftModel::judge(Guess& guess, u32 sureness) {
  const Session& s = *guess.session;
  bool drawn = s.sampler.params().temperature_milli > 0;
  guess.sureness[guess.made - 1] = static_cast<u8>(sureness);
  guess.chance = guess.chance * hit_rate(sure_[drawn][sureness]) / 256;
  if (guess.chance / 256 * hit_rate(policy_of(*guess.session)) / 256 < least_chance_)
    guess.wanted = guess.made;
}

// Gives the guesses to the requests, in place of those found by lookup. A request whose text is
// not read yet has kept its own, so there may be less room than was planned.
void DraftModel::hand_over() {
  u32 drafts = 0;
  for (const Session* s : candidates_) drafts += s->alive() ? s->drafts : 0;
  for (Guess& guess : guesses_) {
    Session& s = *guess.session;
    if (guess.made == 0 || !s.alive()) continue;
    drafts -= s.drafts;
    u32 made = std::min(guess.made, kMostDrafts - drafts);
    if (made == 0) continue;
    guess.looked_up = s.drafts;
    std::copy_n(s.draft, s.drafts, guess.others);
    std::copy_n(guess.tokens, made, s.draft);
    s.drafts = made;
    drafts += made;
    s.guessed_by_model = true;
  }
}

DraftModel::Guess* DraftModel::guess_of(const Session& session) {
  for (Guess& guess : guesses_)
    if (guess.session == &session) return &guess;
  return nullptr;
}

// The draft model computed its guesses but the last one. Those that were right are text now.
void DraftModel::learn(Session& session, u32 accepted) {
  const Guess* guess = guess_of(session);
  if (session.drafts == 0 || guess == nullptr) return;
  policy_of(session).learn(session.drafts, accepted);
  usual_.learn(session.drafts, accepted);
  bool drawn = session.sampler.params().temperature_milli > 0;
  for (u32 i = 0; i < std::min(session.drafts, accepted + 1); i++)
    sure_[drawn][guess->sureness[i]].learn(1, i < accepted ? 1 : 0);
  learn_of_lookup(session, *guess, accepted + 1);
  u32 length = session.draft_sequence.length + std::min(accepted, session.drafts - 1);
  store_.commit(session.draft_sequence, session.tokens.view(), length, session.cache_prompt);
  store_.cut(session.draft_sequence);
}

// Lookup learns from the `made` new tokens what its guesses would have been worth.
void DraftModel::learn_of_lookup(Session& session, const Guess& guess, u32 made) {
  u32 compared = std::min(guess.looked_up, made), right = 0;
  std::span<const TokenId> fresh = session.tokens.view().last(made);
  while (right < compared && fresh[right] == guess.others[right]) right++;
  session.draft_policy.learn(compared, right);
}

void DraftModel::forget(Session& session) {
  store_.end(session.draft_sequence, session.tokens.view(), session.cache_prompt);
}

}  // namespace ai
