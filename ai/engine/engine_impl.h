// SPDX-License-Identifier: GPL-2.0-or-later
// The engine put together from its parts; tests put it together from others.
#pragma once

#include "ai/engine/kv_file.h"
#include "ai/engine/scheduler.h"
#include "ai/gguf/reader.h"
#include "ai/text/chat_template.h"

namespace ai {

// What a loaded model consists of; the model looks for its kernels here.
struct EngineParts {
  KernelTable kernels{};
  base::Owner<Tokenizer> tokenizer;
  base::Owner<ChatTemplate> chat_template;  // null when the model has none that works
  base::Owner<Model> model;
  ModelInfo info;
  MemoryPlan plan;
};

// Limits and sizes that planning and loading must agree on.
struct EngineSizes {
  u32 context = 0, pages = 0;
  KvType kv_type = KvType::kF16;
  SchedulerLimits limits;
};

struct ModelSizes {
  u64 weights_bytes = 0, page_bytes = 0, state_bytes = 0, tokenizer_bytes = 0, vector_bytes = 0;
  u32 page_positions = 0, vocabulary = 0, trained_context = 0;
  // Of a step's buffers; who knows is `model`.
  u64 (*workspace_bytes)(const void* model, const StepLimits& limits, u32 context) = nullptr;
  const void* model = nullptr;
};

// kOutOfMemory (the log tells what it takes and which context would fit) or the sizes and the plan.
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

  Result<RequestId> submit(const Request& request, RequestSink& sink) override;
  void cancel(RequestId id) override;
  bool step() override;
  Result<void> score(std::span<const TokenId> tokens, u32 top, ScoreSink& sink) override;
  Result<void> embed(std::span<const TokenId> tokens, Pooling pooling, std::span<float> out,
                     EmbedSink* sink) override;
  Result<u32> save(std::span<const TokenId> tokens, ByteSink& sink) override;
  Result<Vector<TokenId>> restore(ByteSource& source) override;

  u32 running() const override { return scheduler_->count(SessionState::kRunning); }
  u32 queued() const override { return scheduler_->count(SessionState::kQueued); }
  u64 kv_pages_total() const override { return store_.pool().total(); }
  u64 kv_pages_used() const override { return store_.pool().held(); }
  u64 kv_pages_cached() const override { return store_.pool().idle(); }
  void forget_prompts() override { store_.clear(); }
  bool consistent() const { return store_.consistent(); }            // for tests
  u32 state_slots_used() const { return scheduler_->slots_used(); }  // for tests

 private:
  Result<void> create_buffers();
  Result<void> check(const Request& request);
  Result<void> check_tokens(std::span<const TokenId> tokens, u32 room);
  std::span<float> logits_row(u32 row) {
    usize width = parts_->model->params().vocabulary;  // padding behind the tokenizer's last
    return logits_.view().subspan(row * width, parts_->tokenizer->size());
  }
  Result<void> forward(std::span<const BatchRow> rows, std::span<const KvView> views,
                       std::span<float> logits);
  void tell_cached();
  void compute();  // what is planned
  Result<void> compute_alone(const Session& session, u32 sequence);
  void take_results(Session& session);
  void take_tokens(Session& session);
  Result<TokenId> pick(Session& session, std::span<float> logits, TokenEvent& event);
  // False when the session has ended.
  bool take_token(Session& session, TokenId token, const TokenEvent& event);
  void end(Session& session, FinishReason reason, const Error* error);
  void slide(Session& session);
  bool remembers(const Session& session) const {
    return session.cache_prompt && parts_->model->state_bytes() == 0;
  }
  Result<KvFileKey> file_key() const;

  // A text that is read beside the requests, with what it holds from its first chunk to its last.
  struct Reading {
    Sequence sequence;
    Vector<float> state;  // of a recurrent model
    KvView view(KvStore& store) {
      return {store.memory(),
              sequence.pages.view(),
              {reinterpret_cast<Byte*>(state.data()), state.size() * sizeof(float)}};
    }
  };
  // kBusy inside a step or a chunk, kFull when too few pages are free for the whole text.
  Result<Reading> begin_reading(std::span<const TokenId> tokens);
  Result<void> score_chunk(Reading& reading, std::span<const TokenId> tokens, u32 top,
                           ScoreSink& sink, bool& wants_more);
  Result<void> embed_chunk(Reading& reading, std::span<const TokenId> tokens, Pooling pooling,
                           std::span<float> sum);

  // While a step or a chunk uses the buffers nobody else may: step() does nothing and the others
  // answer kBusy. Sessions that end meanwhile stay in place until the end of it.
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
  // A call that lets others in between its parts: the engine must outlive it.
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
  base::Owner<Scheduler> scheduler_;
  base::Owner<Workspace> workspace_;
  Vector<float> logits_;  // (logit rows, vocabulary)
  base::Owner<SamplerWorkspace> sampler_workspace_;
  base::Owner<LogProbabilities> log_probabilities_;
  base::Owner<SessionContext> session_context_;
  Vector<BatchRow> score_rows_;  // of score() and embed()
  StepCosts costs_;
  RequestId last_id_ = 0;
  u32 uses_ = 0;            // calls of score(), embed(), save() and restore() under way
  bool stepping_ = false;   // sessions that end stay in place
  bool computing_ = false;  // and so do the pages of those that take part
};

}  // namespace ai
