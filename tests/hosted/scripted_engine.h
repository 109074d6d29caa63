// SPDX-License-Identifier: GPL-2.0-or-later
// An engine without a model: every byte is a token, every answer is what the test says. One token
// a step, prompts read in chunks of eight, a clock that the test can turn.
#pragma once

#include <string>
#include <vector>

#include "ai/engine/engine.h"
#include "ai/text/chat_template.h"
#include "console/engine_service.h"

class ByteTokenizer final : public ai::Tokenizer {
 public:
  static constexpr ai::TokenId kEnd = 256;
  ByteTokenizer() {
    for (u32 i = 0; i < 256; i++) bytes_[i] = static_cast<char>(i);
  }
  Result<void> encode(std::string_view text, ai::AddSpecial, ai::ParseSpecial,
                      Vector<ai::TokenId>& out) const override {
    for (char c : text) TRY(out.push_back(static_cast<u8>(c)));
    return {};
  }
  std::string_view piece(ai::TokenId id) const override {
    return id < 256 ? std::string_view(bytes_ + id, 1) : std::string_view();
  }
  u32 size() const override { return 257; }
  bool is_end(ai::TokenId id) const override { return id == kEnd; }
  bool is_control(ai::TokenId id) const override { return id == kEnd; }
  ai::TokenId bos() const override { return kNoToken; }
  ai::TokenId eos() const override { return kEnd; }

 private:
  char bytes_[256];
};

class ScriptedEngine final : public ai::Engine {
 public:
  explicit ScriptedEngine(u32 context = 1000) {
    info_.context = context;
    static_cast<void>(info_.name.assign("Fake"));
    plan_.context = context;
  }

  std::vector<std::string> answers;  // given in turn; the last again and again
  std::vector<std::string> prompts;  // as they came
  std::vector<ai::Request> requests;
  Error refuse{Errc::kIo, nullptr};  // submit fails with it when it says something
  u32 cancelled = 0;
  base::Owner<ai::ChatTemplate> chat;

  const ai::ModelInfo& info() const override { return info_; }
  const ai::MemoryPlan& plan() const override { return plan_; }
  const ai::Tokenizer& tokenizer() const override { return tokenizer_; }
  const ai::ChatTemplate* chat_template() const override { return chat.get(); }
  const char* kernels_name() const override { return "fake"; }

  Result<ai::RequestId> submit(const ai::Request& request, ai::RequestSink& sink) override {
    if (refuse.what != nullptr) return std::unexpected(refuse);
    std::string prompt;
    for (ai::TokenId id : request.prompt) prompt += static_cast<char>(id);
    prompts.push_back(prompt);
    requests.push_back(request);
    active_ = {&sink, request, {}, 0, 0};
    active_.answer = answers.empty() ? "ok" : answers[std::min(given_, answers.size() - 1)];
    given_++;
    return ai::RequestId{1};
  }
  void cancel(ai::RequestId) override {
    cancelled++;
    end(ai::FinishReason::kCancelled, nullptr);
  }
  bool step() override {
    if (active_.sink == nullptr) return false;
    u32 total = static_cast<u32>(active_.request.prompt.size());
    if (active_.read < total) {
      active_.read = std::min(active_.read + 8, total);
      active_.sink->on_prefill(active_.read, total);
      return true;
    }
    u32 limit = active_.request.max_tokens == 0 ? ~0u : active_.request.max_tokens;
    if (active_.sent >= active_.answer.size()) {
      end(ai::FinishReason::kStop, nullptr);
    } else if (active_.sent >= limit) {
      end(ai::FinishReason::kLength, nullptr);
    } else if (total + active_.sent >= info_.context) {
      Error full{Errc::kContextFull, "the context is full"};
      end(ai::FinishReason::kContextFull, &full);
    } else {
      std::string_view text(active_.answer.data() + active_.sent++, 1);
      active_.sink->on_token({static_cast<u8>(text[0]), text, -1000, {}, 0});
    }
    return true;
  }
  Result<void> score(std::span<const ai::TokenId> tokens, u32 top, ai::ScoreSink& sink) override {
    for (u32 i = 1; i < tokens.size(); i++) sink.on_score({i, tokens[i], -500'000, {}});
    ai::TokenLogprob best[] = {{'x', -100'000}, {'y', -2'000'000}};
    sink.on_score({static_cast<u32>(tokens.size()), ai::Tokenizer::kNoToken, 0,
                   std::span(best).first(std::min<usize>(top, 2))});
    return {};
  }
  u32 running() const override { return active_.sink != nullptr ? 1 : 0; }
  u32 queued() const override { return 0; }
  u64 kv_pages_total() const override { return 10; }
  u64 kv_pages_used() const override { return running(); }
  u64 kv_pages_cached() const override { return 0; }
  void forget_prompts() override {}

 private:
  struct Active {
    ai::RequestSink* sink = nullptr;
    ai::Request request;
    std::string answer;
    u32 read = 0, sent = 0;
  };
  void end(ai::FinishReason reason, const Error* error) {
    ai::Timings timings;
    timings.prompt_tokens = static_cast<u32>(active_.request.prompt.size());
    timings.generated_tokens = active_.sent;
    timings.prefill_ns = 1'000'000'000;
    timings.decode_ns = 2'000'000'000;
    std::exchange(active_.sink, nullptr)->on_end(reason, timings, error);
  }

  ai::ModelInfo info_;
  ai::MemoryPlan plan_;
  ByteTokenizer tokenizer_;
  Active active_;
  usize given_ = 0;
};

// Puts a fake engine into the service for one test.
class WithScriptedEngine {
 public:
  explicit WithScriptedEngine(u32 context = 1000) {
    auto made = base::make<ScriptedEngine>(context);
    engine = made->get();
    console::ModelFile file;
    static_cast<void>(file.name.assign("fake"));
    static_cast<void>(file.path.assign("/fake/fake.gguf"));
    console::engine_service().adopt(std::move(file), base::Owner<ai::Engine>(made->release()));
  }
  ~WithScriptedEngine() { static_cast<void>(console::engine_service().unload()); }
  ScriptedEngine* engine;
};
