// SPDX-License-Identifier: GPL-2.0-or-later
// One request inside the engine: its tokens and pages, its sampler, its text and its clock.
//
// create() allocates everything the request will ever need. The session owns its pages and its
// state, so destroying it in any state gives them back. Only the engine's thread uses it, except
// that cancel() ends it from any thread of CPU 0.
#pragma once

#include <optional>

#include "ai/engine/kv_store.h"
#include "ai/engine/speculation.h"
#include "ai/engine/state_slots.h"
#include "ai/engine/timings.h"
#include "ai/text/grammar.h"
#include "ai/text/stop.h"
#include "ai/text/utf8_stream.h"

namespace ai {

enum class SessionState : u8 {
  kQueued,   // holds no pages
  kRunning,  // has pages, takes part in steps
  kEnded,    // its sink has been told; remove_ended() will destroy it
};

// Facts and buffers that all sessions of an engine share.
struct SessionContext {
  const Tokenizer& tokenizer;
  KvStore& store;
  u32 context;                     // tokens
  u32 longest_piece;               // bytes
  KvStore* draft_store = nullptr;  // of the draft model, if there is one
};

class Session {
 public:
  static Result<base::Owner<Session>> create(RequestId id, const Request& request,
                                             RequestSink& sink, const SessionContext& context,
                                             u64 now_ns);
  Session(RequestId id, const Request& request, RequestSink& sink, Sampler sampler,
          StopStrings stop);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // Returns the number of tokens that are not computed yet: 1 while decoding, more while reading a
  // prompt (or reading a text again).
  u32 pending() const { return static_cast<u32>(tokens.size()) - sequence.length; }
  bool alive() const { return state != SessionState::kEnded; }
  // Returns true if the step being planned makes the next token of the answer, so that guesses may
  // follow it. A request that was put back and reads its text again is excluded by its pending
  // tokens.
  bool may_guess() const {
    return state == SessionState::kRunning && rows == 1 && pending() == 1 && prompt_done;
  }
  // Returns how many guesses the next step has room for. The last token of a request needs no
  // guess, and the context has no position for one.
  u32 guess_room() const {
    u32 room = static_cast<u32>(tokens.capacity() - tokens.size());
    return std::min(room > 0 ? room - 1 : 0, kMaxDraft);
  }

  enum class Next : u8 { kGoOn, kStop, kLength, kContextFull };
  // Processes the picked token: text, stop strings and limits; tells the sink. Returns kGoOn unless
  // the request is at its end. The sink may have cancelled the request meanwhile, so the caller
  // must check alive().
  Result<Next> accept(TokenId token, TokenEvent event, u64 now_ns, const SessionContext& context);
  // Completes the timings and tells the sink that the request ended. Called once.
  void finish(FinishReason reason, const Error* error);
  // Drops the oldest half of the tokens, but keeps the first one if it is the tokenizer's BOS. The
  // caller has given the pages back.
  void slide(const SessionContext& context);

  const RequestId id;
  SessionState state = SessionState::kQueued;
  RequestSink& sink;
  // The request's own limits.
  const u32 max_tokens, logprobs;
  const bool ignore_end, may_slide, cache_prompt, hash_logits, report_picks, after_sampling;
  const RequestId fork_of;

  Vector<TokenId> tokens;  // prompt and answer
  u32 prompt_tokens = 0;
  bool prompt_done = false;
  bool away = false;  // does not start before its beginning was fetched from the pages' second home
  Sequence sequence;
  StateSlot slot;  // held while the request runs on a recurrent model
  Sampler sampler;
  base::Owner<GrammarState> grammar;  // null: every token is allowed
  DraftPolicy draft_policy;           // of guesses by lookup
  // The part of the text that the draft model has read. Only the draft model touches it.
  Sequence draft_sequence;
  std::optional<DraftPolicy> model_policy;  // of the draft model's guesses; empty before the first
  Timings timings;
  RequestClock clock;

  // Set by the scheduler for the step being planned.
  u32 rows = 0;    // tokens of the text
  u32 drafts = 0;  // guesses after them
  TokenId draft[kMaxDraft] = {};
  bool guessed_by_model = false;  // the draft model made them
  // first row of the step's logits: one row for the last token, then one per guess
  u32 first_logits = 0;

 private:
  Result<bool> take_text(TokenId token, const Tokenizer& tokenizer);
  Result<void> flush_text();

  StopStrings stop_;
  Utf8Stream characters_;
  Vector<char> joined_, text_;
};

}  // namespace ai
