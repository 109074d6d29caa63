// SPDX-License-Identifier: GPL-2.0-or-later
// One request on its way: its tokens and pages, its sampler, its text, its clock.
//
// Everything it will ever need is allocated by create(). It owns the pages and the state that it
// computes in, so a session that is destroyed in any state gives them back.
#pragma once

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
  kEnded,    // the sink knows; waits for its removal
};

// What sessions share.
struct SessionContext {
  const Tokenizer& tokenizer;
  KvStore& store;
  u32 context;        // tokens
  u32 longest_piece;  // bytes
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

  // Tokens not computed yet: 1 = decoding, more = reading a prompt (or reading it again).
  u32 pending() const { return static_cast<u32>(tokens.size()) - sequence.length; }
  bool alive() const { return state != SessionState::kEnded; }

  enum class Next : u8 { kGoOn, kStop, kLength, kContextFull };
  // Takes the token that was picked: text, stop strings, limits; tells the sink. kGoOn unless the
  // request is at its end. The sink may have cancelled it meanwhile: ask alive().
  Result<Next> accept(TokenId token, TokenEvent event, u64 now_ns, const SessionContext& context);
  // Tells the sink and gives the clock's figures. Once.
  void finish(FinishReason reason, const Error* error);
  // Drops the oldest half (the first token stays where it is the tokenizer's BOS); the caller has
  // given the pages back.
  void slide(const SessionContext& context);

  const RequestId id;
  SessionState state = SessionState::kQueued;
  RequestSink& sink;
  // Of the request.
  const u32 max_tokens, logprobs;
  const bool ignore_end, may_slide, cache_prompt, hash_logits;
  const RequestId fork_of;

  Vector<TokenId> tokens;  // prompt and answer
  u32 prompt_tokens = 0;
  bool prompt_done = false;
  Sequence sequence;
  StateSlot slot;  // while it runs, of a recurrent model
  Sampler sampler;
  base::Owner<GrammarState> grammar;  // null = anything goes
  DraftPolicy draft_policy;
  Timings timings;
  RequestClock clock;

  // Of the step being made.
  u32 rows = 0;    // tokens of the text
  u32 drafts = 0;  // guesses behind them
  TokenId draft[kMaxDraft] = {};
  u32 first_logits = 0;  // row of the step's logits; one for the last token, one for each guess

 private:
  Result<bool> take_text(TokenId token, const Tokenizer& tokenizer);
  Result<void> flush_text();

  StopStrings stop_;
  Utf8Stream characters_;
  Vector<char> joined_, text_;
};

}  // namespace ai
