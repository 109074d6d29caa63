// SPDX-License-Identifier: GPL-2.0-or-later
// An engine without a model: every byte is a token, and every answer is what the test says. It
// makes one token per step, reads prompts in chunks of eight, and has a clock that the test can
// set.
#pragma once

#include <string>
#include <vector>

#include "ai/text/chat_template.h"
#include "service/engine_host.h"
#include "tests/hosted/fake_engine.h"
#include "tests/hosted/test_threads.h"

// Other tests have classes of the same names.
inline namespace console_fakes {

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

class ScriptedEngine final : public FakeEngine {
 public:
  explicit ScriptedEngine(u32 context = 1000) {
    info_.context = context;
    info_.width = 4;
    static_cast<void>(info_.name.assign("Fake"));
    plan_.context = context;
  }

  std::vector<std::string> answers;  // given in turn; the last again and again
  std::vector<std::string> prompts;  // as they came
  std::vector<ai::Request> requests;
  Error refuse{Errc::kIo, nullptr};  // submit fails with it when it says something
  u32 cancelled = 0;
  u64 lost_pages = 0;  // claimed to be held although nothing runs
  base::Owner<ai::ChatTemplate> chat;

  const ai::Tokenizer& tokenizer() const override { return tokenizer_; }
  const ai::ChatTemplate* chat_template() const override { return chat.get(); }

  Result<ai::RequestId> submit(const ai::Request& request, ai::RequestSink& sink) override {
    if (refuse.what != nullptr) return std::unexpected(refuse);
    std::string prompt;
    for (ai::TokenId id : request.prompt) prompt += static_cast<char>(id);
    prompts.push_back(prompt);
    requests.push_back(request);
    Active active{&sink, request, ++last_id_, {}, 0, 0};
    active.answer = answers.empty() ? "ok" : answers[std::min(given_, answers.size() - 1)];
    given_++;
    running_.push_back(active);
    return last_id_;
  }
  void cancel(ai::RequestId id) override {
    for (usize i = 0; i < running_.size(); i++) {
      if (running_[i].id != id) continue;
      cancelled++;
      end(i, ai::FinishReason::kCancelled, nullptr);
      return;
    }
  }
  bool step() override {
    if (running_.empty()) return false;
    for (usize i = running_.size(); i > 0; i--) advance(i - 1);
    return true;
  }
  Result<void> score(std::span<const ai::TokenId> tokens, u32 top, ai::ScoreSink& sink) override {
    for (u32 i = 1; i < tokens.size(); i++) sink.on_score({i, tokens[i], -500'000, {}});
    ai::TokenLogprob best[] = {{'x', -100'000}, {'y', -2'000'000}};
    sink.on_score({static_cast<u32>(tokens.size()), ai::Tokenizer::kNoToken, 0,
                   std::span(best).first(std::min<usize>(top, 2))});
    return {};
  }
  u32 running() const override { return static_cast<u32>(running_.size()); }
  u64 kv_pages_used() const override { return running() + lost_pages; }

 private:
  struct Active {
    ai::RequestSink* sink = nullptr;
    ai::Request request;
    ai::RequestId id = 0;
    std::string answer;
    u32 read = 0, sent = 0;
  };
  void advance(usize at) {
    Active& active = running_[at];
    u32 total = static_cast<u32>(active.request.prompt.size());
    if (active.read < total) {
      active.read = std::min(active.read + 8, total);
      active.sink->on_prefill(active.read, total);
      return;
    }
    u32 limit = active.request.max_tokens == 0 ? ~0u : active.request.max_tokens;
    if (active.sent >= active.answer.size()) {
      end(at, ai::FinishReason::kStop, nullptr);
    } else if (active.sent >= limit) {
      end(at, ai::FinishReason::kLength, nullptr);
    } else if (total + active.sent >= info_.context) {
      Error full{Errc::kContextFull, "the context is full"};
      end(at, ai::FinishReason::kContextFull, &full);
    } else {
      std::string_view text(active.answer.data() + active.sent++, 1);
      active.sink->on_token({static_cast<u8>(text[0]), text, -1000, {}, 0});
    }
  }
  void end(usize at, ai::FinishReason reason, const Error* error) {
    Active active = running_[at];
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(at));
    ai::Timings timings;
    timings.prompt_tokens = static_cast<u32>(active.request.prompt.size());
    timings.generated_tokens = active.sent;
    timings.prefill_ns = 1'000'000'000;
    timings.decode_ns = 2'000'000'000;
    active.sink->on_end(reason, timings, error);
  }

  ByteTokenizer tokenizer_;
  std::vector<Active> running_;
  ai::RequestId last_id_ = 0;
  usize given_ = 0;
};

// Puts a fake engine into the service for one test.
class WithScriptedEngine {
 public:
  explicit WithScriptedEngine(u32 context = 1000) {
    auto made = base::make<ScriptedEngine>(context);
    engine = made->get();
    service::ModelFile file;
    static_cast<void>(file.name.assign("fake"));
    static_cast<void>(file.path.assign("/fake/fake.gguf"));
    test_threads::start();
    MUST(service::engine_host().adopt(std::move(file), base::Owner<ai::Engine>(made->release())));
  }
  ~WithScriptedEngine() { static_cast<void>(service::engine_host().unload()); }
  ScriptedEngine* engine;
};

}  // namespace console_fakes
