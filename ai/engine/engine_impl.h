// SPDX-License-Identifier: GPL-2.0-or-later
// The product's Engine, assembled from its parts. load.cpp builds it from a file; tests build it
// around scripted models.
#pragma once

#include "ai/engine/draft_model.h"
#include "ai/engine/home_visits.h"
#include "ai/engine/kv_file.h"
#include "ai/engine/scheduler.h"
#include "ai/gguf/reader.h"
#include "ai/text/chat_template.h"

namespace ai {

// The parts of a loaded model. It is on the heap and does not move, because the model keeps a
// pointer to `kernels`.
struct EngineParts {
  KernelTable kernels{};
  base::Owner<Tokenizer> tokenizer;
  base::Owner<ChatTemplate> chat_template;  // null when the model has none that works
  base::Owner<Model> model;
  ModelInfo info;
  MemoryPlan plan;
};

// The limits and sizes that planning chooses and loading obeys.
struct EngineSizes {
  u32 context = 0;
  KvShape kv;
  KvType kv_type = KvType::kF16;
  SchedulerLimits limits;
};

struct ModelSizes {
  u64 weights_bytes = 0, state_bytes = 0, tokenizer_bytes = 0, vector_bytes = 0;
  KvPageBytes page_bytes;
  u32 window = 0;  // positions that the store keeps for layers with a window
  u32 page_positions = 0, vocabulary = 0, trained_context = 0, width = 0;
  bool whole_texts = false;  // an encoder: a step must have room for a whole context
  // Returns the bytes of a step's work buffers. Called with `model`, whose type this file must not
  // know.
  u64 (*workspace_bytes)(const void* model, const StepLimits& limits, u32 context) = nullptr;
  const void* model = nullptr;
};

// Chooses context and pool so that they fit into memory, and fills `plan`. On kOutOfMemory the log
// names the bytes needed and the context that would fit.
Result<EngineSizes> choose_sizes(const EngineOptions& options, const ModelSizes& model,
                                 Platform& platform, MemoryPlan& plan);
SchedulerLimits scheduler_limits(const EngineOptions& options);

class EngineImpl final : public Engine {
 public:
  static Result<base::Owner<EngineImpl>> create(base::Owner<EngineParts> parts, Platform& platform,
                                                const EngineSizes& sizes);
  EngineImpl(base::Owner<EngineParts> parts, Platform& platform, const EngineSizes& sizes,
             KvStore store)
      : platform_(platform), sizes_(sizes), parts_(std::move(parts)), store_(std::move(store)) {}
  ~EngineImpl() override;

  const ModelInfo& info() const override { return parts_->info; }
  const MemoryPlan& plan() const override { return parts_->plan; }
  const Tokenizer& tokenizer() const override { return *parts_->tokenizer; }
  const ChatTemplate* chat_template() const override { return parts_->chat_template.get(); }
  const char* kernels_name() const override { return parts_->kernels.name; }

  Result<void> add_draft(std::span<const std::span<Byte>> parts,
                         const EngineOptions& options) override;
  // The second half of add_draft(), for tests that bring a draft model of their own.
  void take_draft(base::Owner<DraftModel> draft);
  DraftSizes draft_sizes() const;
  void bind_to_this_thread() override { thread_ = platform_.thread(); }
  Result<RequestId> submit(const Request& request, RequestSink& sink) override;
  void cancel(RequestId id) override;
  bool step() override;
  Result<void> score(std::span<const TokenId> tokens, u32 top, ScoreSink& sink) override;
  Result<void> embed(std::span<const TokenId> tokens, Pooling pooling, std::span<float> out,
                     EmbedSink* sink) override;
  Result<RankScore> rank(std::span<const TokenId> tokens, u32 second, EmbedSink* sink) override;
  Result<void> replay(const Replay& replay, ReplaySink& sink) override;
  Result<u32> save(std::span<const TokenId> tokens, ByteSink& sink) override;
  Result<Vector<TokenId>> restore(ByteSource& source) override;

  Result<void> set_home(KvHome& home) override;
  bool visit_home(BetweenPages& between) override;
  u32 texts_to_keep() const override { return visits_ == nullptr ? 0 : visits_->waiting(); }

  u32 running() const override { return scheduler_->count(SessionState::kRunning); }
  u32 queued() const override { return scheduler_->count(SessionState::kQueued); }
  u64 kv_pages_total() const override {
    return u64{store_.pool().total()} + store_.window_pool().total();
  }
  u64 kv_pages_used() const override { return store_.held(); }
  u64 kv_pages_cached() const override {
    return u64{store_.pool().idle()} + store_.window_pool().idle();
  }
  void forget_prompts() override {
    assert_own_thread();
    store_.clear();
    if (draft_ != nullptr) draft_->store().clear();
    if (visits_ != nullptr) visits_->forget();
  }
  // For tests.
  bool consistent() const {
    return store_.consistent() && (draft_ == nullptr || draft_->store().consistent());
  }
  const DraftModel* draft() const { return draft_.get(); }
  u32 state_slots_used() const { return scheduler_->slots_used(); }  // for tests

 private:
  Result<void> create_buffers();
  Result<void> check_writes() const;
  Result<void> check(const Request& request);
  Result<void> check_tokens(std::span<const TokenId> tokens, u32 room);
  std::span<float> logits_row(u32 row) {
    // the matrix may have padding rows after the last token
    usize width = parts_->model->params().vocabulary;
    return logits_.view().subspan(row * width, parts_->tokenizer->size());
  }
  Result<void> forward(std::span<const BatchRow> rows, std::span<const KvView> views,
                       std::span<float> logits);
  void propose_drafts();
  void tell_cached();
  void compute();  // runs the planned rows through the model
  Result<void> compute_alone(const Session& session, u32 sequence);
  void take_results(Session& session);
  void take_tokens(Session& session);
  Result<TokenId> pick(Session& session, std::span<float> logits, TokenEvent& event);
  // Returns false when the session has ended.
  bool take_token(Session& session, TokenId token, const TokenEvent& event);
  void end(Session& session, FinishReason reason, const Error* error);
  // Returns true if the second home has more of the request's beginning than the prefix cache, and
  // reading that is not slower than computing it.
  bool is_away(const Session& session);
  Session* first_away();
  void slide(Session& session);
  bool remembers(const Session& session) const {
    return session.cache_prompt && parts_->model->state_bytes() == 0;
  }
  void assert_own_thread() const;
  Result<KvFileKey> file_key() const;

  // A text that score(), embed() or replay() reads beside the requests. It holds its pages and
  // state from the first chunk to the last: in layers with a window as many as it will ever need at
  // once.
  struct Reading {
    Sequence sequence;
    Vector<float> state;  // used by recurrent models
    KvView view(KvStore& store) {
      return {store.pages(sequence),
              store.window_pages(sequence),
              {reinterpret_cast<Byte*>(state.data()), state.size() * sizeof(float)}};
    }
  };
  // Returns kBusy inside a step or a chunk, and kFull when too few pages are free for the whole
  // text.
  Result<Reading> begin_reading(std::span<const TokenId> tokens);
  // Records that a chunk up to position `length` was computed, and keeps what the next one needs.
  // With `remember`, requests may begin with it.
  void end_chunk(Reading& reading, std::span<const TokenId> tokens, u32 length, bool remember);
  Result<void> score_chunk(Reading& reading, std::span<const TokenId> tokens, u32 top,
                           ScoreSink& sink, bool& wants_more);
  // A text of embed(), or a pair of texts of rank().
  struct Pair {
    std::span<const TokenId> tokens;
    u32 second;  // where the second text begins; the number of tokens if there is none
  };
  Result<void> pool(const Pair& pair, Pooling pooling, std::span<float> out, EmbedSink* sink);
  Result<void> pool_chunk(Reading& reading, const Pair& pair, Pooling pooling,
                          std::span<float> sum);
  struct Retold;
  Result<void> replay_chunk(Retold& retold);
  Result<void> pick_again(Retold& retold, std::span<float> logits);

  // Marks a step or chunk as using the shared buffers. Until it ends, step() does nothing, other
  // work returns kBusy, and sessions that end stay in the list because the step still refers to
  // them.
  class Exclusive {
   public:
    explicit Exclusive(EngineImpl& engine) : engine_(engine) { engine.stepping_ = true; }
    ~Exclusive() {
      engine_.stepping_ = false;
      engine_.scheduler_->remove_ended();
    }
    Exclusive(const Exclusive&) = delete;
    Exclusive& operator=(const Exclusive&) = delete;

   private:
    EngineImpl& engine_;
  };
  // Counts a call that lets other threads run before it returns; the destructor asserts that there
  // is none.
  class Use {
   public:
    explicit Use(EngineImpl& engine) : engine_(engine) { engine.uses_++; }
    ~Use() { engine_.uses_--; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    EngineImpl& engine_;
  };

  Platform& platform_;
  EngineSizes sizes_;
  base::Owner<EngineParts> parts_;
  KvStore store_;
  base::Owner<DraftModel> draft_;   // null: guesses come from lookup alone
  base::Owner<HomeVisits> visits_;  // null: the pages have no second home
  base::Owner<Scheduler> scheduler_;
  base::Owner<Workspace> workspace_;
  Vector<float> logits_;  // (logit rows, vocabulary)
  base::Owner<SamplerWorkspace> sampler_workspace_;
  base::Owner<LogProbabilities> log_probabilities_;
  Drawn drawn_;
  base::Owner<SessionContext> session_context_;
  Vector<BatchRow> score_rows_;  // used by score(), embed() and replay()
  StepCosts costs_;
  RequestId last_id_ = 0;
  const void* thread_ = nullptr;  // the thread that bind_to_this_thread() named; null: any
  u32 uses_ = 0;           // calls of score(), embed(), replay(), save() and restore() under way
  bool stepping_ = false;  // an Exclusive exists: ended sessions stay in the list
  // the model computes: planned sessions keep their pages even if they end
  bool computing_ = false;
};

}  // namespace ai
