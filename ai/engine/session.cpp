// SPDX-License-Identifier: GPL-2.0-or-later
// Implements one request: its tokens and pages, its sampler, its text and its clock.
#include "ai/engine/session.h"

#include "kernel/base/wipe.h"

namespace ai {
namespace {

std::string_view view(const Vector<char>& chars) {
  return {chars.data(), chars.size()};
}

Result<void> give_breakers(const Request& request, const Tokenizer& tokenizer, Sampler& out) {
  if (request.dry_breakers.empty() || request.sampling.dry_multiplier_milli == 0) return {};
  DryBreakers breakers = TRY(DryBreakers::create(tokenizer.size()));
  for (std::string_view text : request.dry_breakers) TRY(breakers.add(text, tokenizer));
  out.set_dry_breakers(std::move(breakers));
  return {};
}

}  // namespace

Session::Session(RequestId id_, const Request& request, RequestSink& sink_, Sampler sampler_,
                 StopStrings stop)
    : id(id_),
      sink(sink_),
      max_tokens(request.max_tokens),
      logprobs(std::min(request.logprobs, Engine::kMostLogprobs)),
      ignore_end(request.ignore_end),
      may_slide(request.slide),
      cache_prompt(request.cache_prompt),
      hash_logits(request.hash_logits),
      report_picks(request.report_picks),
      after_sampling(request.after_sampling),
      fork_of(request.fork_of),
      sampler(std::move(sampler_)),
      stop_(std::move(stop)) {}

// Wipes the text, so that the heap's next user does not get what a person wrote or read.
Session::~Session() {
  base::wipe(tokens);
  base::wipe(joined_);
  base::wipe(text_);
}

Result<base::Owner<Session>> Session::create(RequestId id, const Request& request,
                                             RequestSink& sink, const SessionContext& context,
                                             u64 now_ns) {
  Sampler sampler = TRY(Sampler::create(request.sampling, request.bias, context.tokenizer.size()));
  TRY(give_breakers(request, context.tokenizer, sampler));
  StopStrings stop = TRY(StopStrings::create(request.stop));
  usize longest_text = Utf8Stream::most_out(context.longest_piece) + stop.longest();
  auto session = TRY(base::make<Session>(id, request, sink, std::move(sampler), std::move(stop)));
  Session& s = *session;
  // The request can grow to the full context, or to its prompt and max_tokens.
  usize room = context.context;
  if (request.max_tokens != 0 && !request.slide)
    room = std::min<usize>(room, request.prompt.size() + request.max_tokens);
  TRY(s.tokens.reserve(room));
  TRY(s.tokens.append(request.prompt));
  // Drafts reach past the end of the text.
  s.sequence = TRY(context.store.make_sequence(static_cast<u32>(room) + kMaxDraft));
  if (context.draft_store != nullptr)
    s.draft_sequence = TRY(context.draft_store->make_sequence(static_cast<u32>(room) + kMaxDraft));
  TRY(s.joined_.reserve(Utf8Stream::most_out(context.longest_piece)));
  TRY(s.text_.reserve(longest_text + 3));  // room for one U+FFFD at the end
  if (request.grammar != nullptr) s.grammar = TRY(GrammarState::create(*request.grammar));
  TRY(s.clock.create(now_ns));
  s.prompt_tokens = s.timings.prompt_tokens = static_cast<u32>(request.prompt.size());
  return session;
}

Result<Session::Next> Session::accept(TokenId token, TokenEvent event, u64 now_ns,
                                      const SessionContext& context) {
  text_.clear();
  bool at_end = !ignore_end && context.tokenizer.is_end(token);
  Next next = at_end ? Next::kStop : Next::kGoOn;
  bool stopped = false;
  if (!at_end) {
    clock.token(now_ns);
    timings.generated_tokens++;
    TRY(tokens.push_back(token));
    if (grammar != nullptr && !grammar->accept(token))
      return fail(Errc::kInvalidArgument,
                  "the grammar refused a token that it had allowed: this is a fault in Marrow");
    stopped = TRY(take_text(token, context.tokenizer));
    bool said_all = grammar != nullptr && grammar->finished();
    if (stopped || said_all)
      next = Next::kStop;
    else if (timings.generated_tokens == max_tokens)
      next = Next::kLength;
    else if (tokens.size() >= context.context && !may_slide)
      next = Next::kContextFull;
  }
  if (next != Next::kGoOn && !stopped) TRY(flush_text());
  event.id = at_end ? Tokenizer::kNoToken : token;
  event.text = view(text_);
  if (stopped) sink.on_stop_string(stop_.completed());
  if (!at_end || !event.text.empty()) sink.on_token(event);
  return next;
}

// Appends the token's text. Returns true when a stop string was completed.
Result<bool> Session::take_text(TokenId token, const Tokenizer& tokenizer) {
  joined_.clear();
  TRY(characters_.feed(tokenizer.piece(token), joined_));
  return stop_.feed(view(joined_), text_);
}

Result<void> Session::flush_text() {
  joined_.clear();
  TRY(characters_.finish(joined_));
  if (!TRY(stop_.feed(view(joined_), text_))) TRY(stop_.finish(text_));
  return {};
}

void Session::finish(FinishReason reason, const Error* error) {
  ASSERT(alive());
  state = SessionState::kEnded;
  clock.finish(timings);
  sink.on_end(reason, timings, error);
}

void Session::slide(const SessionContext& context) {
  u32 first = tokens[0] == context.tokenizer.bos() ? 1 : 0;
  u32 dropped = static_cast<u32>(tokens.size()) - context.context / 2;
  std::copy(tokens.begin() + first + dropped, tokens.end(), tokens.begin() + first);
  tokens.truncate(tokens.size() - dropped);
}

}  // namespace ai
