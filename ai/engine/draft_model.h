// SPDX-License-Identifier: GPL-2.0-or-later
// The draft model: a smaller model with the same vocabulary, which guesses the next tokens of the
// requests that decode. The engine's model verifies the guesses in one step, as it does those found
// by lookup, so the text does not depend on what is guessed.
//
// It has a KV store of its own. It reads a text when it is to guess for it first, and later what it
// has not read yet; of a text with a known beginning it reads the rest. A guess is picked as the
// request's own sampler would pick next, with the same random numbers, so a draft model whose
// logits are close is also right where tokens are drawn. The engine owns it and calls it on the
// engine's thread; propose() breathes.
#pragma once

#include "ai/engine/session.h"
#include "ai/models/model.h"

namespace ai {

// The parts that it is made of. They are on the heap and do not move, because the model keeps a
// pointer to `kernels`.
struct DraftParts {
  KernelTable kernels{};
  base::Owner<Model> model;
};

struct DraftSizes {
  u32 context = 0;     // positions that it can read
  u32 text = 0;        // tokens that a text of the engine may have
  u32 pages = 0;       // of its KV store
  u32 vocabulary = 0;  // tokens of the common tokenizer
  u32 requests = 0;    // most requests that run at once
  u32 chunk = 0;       // most tokens that it reads in one step

  // The most rows of one of its steps: what it reads, or a row for each request that it guesses
  // for.
  StepLimits step_limits() const {
    return {.rows = chunk + kMostDrafts, .logit_rows = kMostDrafts};
  }
  // Returns the size of the KV store of a draft model with such pages. As in the engine's own, each
  // request needs what its window sees, and one of them what is read of a text in one step.
  KvShape kv(const KvPageBytes& page_bytes, u32 page_positions, u32 window) const;
  // Returns the bytes of buffers beside those of the model.
  u64 buffer_bytes(u32 model_vocabulary) const;
};

class DraftModel {
 public:
  static Result<base::Owner<DraftModel>> create(base::Owner<DraftParts> parts, Platform& platform,
                                                const DraftSizes& sizes);
  DraftModel(base::Owner<DraftParts> parts, Platform& platform, const DraftSizes& sizes,
             KvStore store)
      : platform_(platform), parts_(std::move(parts)), sizes_(sizes), store_(std::move(store)) {}
  DraftModel(const DraftModel&) = delete;
  DraftModel& operator=(const DraftModel&) = delete;

  // The things of the engine that propose() needs.
  struct Round {
    std::span<const base::Owner<Session>> sessions;  // none is destroyed before propose() returns
    const StepCosts& costs;                          // of the engine's model
    const Tokenizer& tokenizer;
    SamplerWorkspace& sampler_workspace;
  };
  // Guesses for requests of the step that is being planned, where that pays: sets their draft and
  // drafts. Reads at most a chunk of their texts before. Requests may be cancelled meanwhile.
  void propose(const Round& round);
  // Learns which of its guesses were right, and takes back what it computed of the others. Called
  // after each step for a request that goes on.
  void learn(Session& session, u32 accepted);
  // Forgets the session's text. Called when it was changed elsewhere than at its end.
  void forget(Session& session);

  KvStore& store() { return store_; }
  const KvStore& store() const { return store_; }
  bool broken() const { return broken_; }

 private:
  struct Guess {
    Session* session = nullptr;
    u32 wanted = 0, made = 0;
    u32 rows = 0;              // of the draft model's step under way
    bool wants_token = false;  // the last of them gives a guess
    Sampler::State sampler{Random(0), 0};
    TokenId tokens[kMaxDraft] = {};
    u8 sureness[kMaxDraft] = {};  // of each; an index of sure_
    u32 chance = kCertain;        // that all of them are right
    u32 looked_up = 0;            // guesses by lookup in whose place they are
    TokenId others[kMaxDraft] = {};
  };
  static constexpr u32 kCertain = 1 << 16, kSureness = 7;
  Result<void> create_buffers();
  void choose(const Round& round);
  void add_candidate(Session& session);
  bool is_worth_reading(Session& session) const;
  void adopt(Session& session);
  bool reserve(Guess& guess);
  void plan_reading(const Round& round);
  void plan_guessing();
  void add_row(Guess& guess, TokenId token, u32 position, bool wants_logits);
  Result<void> compute();
  void take_logits(const Round& round);
  void pick(Guess& guess, const Round& round, std::span<float> logits);
  void judge(Guess& guess, u32 sureness);
  Guess* guess_of(const Session& session);
  static void learn_of_lookup(Session& session, const Guess& guess, u32 made);
  void hand_over();

  Platform& platform_;
  base::Owner<DraftParts> parts_;
  DraftSizes sizes_;
  KvStore store_;
  base::Owner<Workspace> workspace_;
  Vector<float> logits_;  // (kMostDrafts, vocabulary)
  Vector<BatchRow> rows_;
  Vector<KvView> views_;
  Vector<Session*> candidates_;             // requests that decode, best hit rate first
  Vector<DraftCandidate> candidate_facts_;  // of the same
  Vector<Guess> guesses_;
  Vector<TokenId> history_;  // a text with its guesses
  StepCosts costs_;
  // How often guesses are right of which it was as sure: where the likeliest token is taken, and
  // where tokens are drawn.
  DraftPolicy sure_[2][kSureness];
  u32 least_chance_ = 0;  // of DraftChoice
  DraftPolicy usual_;     // of all requests: a new one begins with it
  bool warm_ = false;     // a step was made: the first one is slower than all others
  bool broken_ = false;   // it computed numbers that are not finite, and is not used any more
};

}  // namespace ai
