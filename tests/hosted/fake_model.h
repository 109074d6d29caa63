// SPDX-License-Identifier: GPL-2.0-or-later
// A model of a few lines for tests of the engine. Its answers depend on every earlier token, but
// only through the KV pages, so a page that is mixed up, lost or overwritten changes the answer.
#pragma once

#include <string>
#include <vector>

#include "ai/engine/engine_impl.h"
#include "tests/hosted/test_platform.h"

constexpr u32 kFakeVocabulary = 64, kFakePagePositions = 4, kFakeWidth = 12;
constexpr ai::TokenId kFakeBos = 0, kFakeEnd = 1;

class FakeTokenizer final : public ai::Tokenizer {
 public:
  Result<void> encode(std::string_view text, ai::AddSpecial, ai::ParseSpecial,
                      Vector<ai::TokenId>& out) const override;
  // 2 and 3 are two parts of one character, 4 is not a character; the others are one to three
  // letters.
  std::string_view piece(ai::TokenId id) const override;
  u32 size() const override { return kFakeVocabulary; }
  bool is_end(ai::TokenId id) const override { return id == kFakeEnd; }
  bool is_control(ai::TokenId id) const override { return id <= kFakeEnd; }
  ai::TokenId bos() const override { return kFakeBos; }
  ai::TokenId eos() const override { return kFakeEnd; }
};

struct FakeBehaviour {
  bool recurrent = false;
  float habit = 5.0f;  // how much likelier the habitual successor of a token is
  bool may_end = false;
  ai::TokenId poison = ~0u;  // a text with this token gives an error
  u32 window = 0;       // its answers also depend on this many last positions, through window pages
  u32 kept_window = 0;  // positions that the store keeps instead of `window`; 0 = just those
  u64 step_ns = 0, row_ns = 0;  // what a step takes on the platform's fixed clock
  u64 seed = 0;                 // another one makes another model
};

class FakeModel final : public ai::Model {
 public:
  explicit FakeModel(const FakeBehaviour& behaviour, TestPlatform& platform);
  const ai::Hyperparameters& params() const override { return params_; }
  u32 kv_page_positions() const override { return kFakePagePositions; }
  ai::KvPageBytes kv_page_bytes() const override {
    constexpr usize kBytes = kFakePagePositions * sizeof(u64);
    return {.whole = behaviour_.recurrent ? 0 : kBytes,
            .window = behaviour_.window > 0 ? kBytes : 0};
  }
  usize state_bytes() const override { return behaviour_.recurrent ? sizeof(u64) : 0; }
  usize workspace_bytes(const ai::StepLimits&) const override { return 0; }
  Result<base::Owner<ai::Workspace>> create_workspace(const ai::StepLimits&) const override;
  Result<void> forward(std::span<const ai::BatchRow> rows, std::span<const ai::KvView> sequences,
                       ai::Workspace& workspace, std::span<float> logits) override;
  Result<void> forward_hidden(std::span<const ai::BatchRow> rows,
                              std::span<const ai::KvView> sequences, ai::Workspace& workspace,
                              std::span<float> hidden) override;
  Result<float> score(std::span<const float> hidden) const override { return hidden[0]; }

 private:
  u64 advance(const ai::BatchRow& row, const ai::KvView& view);
  u64 look_back(const ai::BatchRow& row, const ai::KvPages& pages) const;
  ai::Hyperparameters params_;
  FakeBehaviour behaviour_;
  TestPlatform& platform_;
};

// Records what a step of the engine consisted of, for tests of the scheduler.
struct FakeStep {
  u32 rows = 0, sequences = 0;
};
extern std::vector<FakeStep> fake_steps;

// Keeps all that one request was told.
struct FakeSink final : ai::RequestSink {
  void on_prefill(u32 done, u32 total) override;
  void on_token(const ai::TokenEvent& event) override;
  void on_end(ai::FinishReason reason, const ai::Timings& timings, const Error* error) override;

  std::vector<ai::TokenId> ids;
  std::vector<u64> hashes;
  std::vector<i32> logprobs;
  std::string text;
  u32 prefilled = 0, prompt = 0, events = 0;
  bool ended = false;
  ai::FinishReason reason{};
  ai::Timings timings;
  Errc error{};
  std::function<void(u32 events)> hook;  // called last in on_prefill and on_token
};

Result<base::Owner<ai::EngineImpl>> fake_engine(TestPlatform& platform,
                                                const ai::EngineOptions& options,
                                                const FakeBehaviour& behaviour = {});

// Gives the engine a draft model that behaves like this. Called before its first request.
Result<void> give_draft(TestPlatform& platform, ai::EngineImpl& engine,
                        const FakeBehaviour& behaviour);
