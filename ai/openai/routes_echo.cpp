// SPDX-License-Identifier: GPL-2.0-or-later
// /v1/completions with "echo" and "logprobs": reports the probabilities of the prompts' own tokens,
// which programs that evaluate models ask for.
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

// Collects the scores of one prompt.
class Keeps final : public ScoreSink {
 public:
  Keeps(Exchange& exchange, Exchange::Scores& scores) : exchange_(exchange), scores_(scores) {}

  bool on_score(const TokenScore& score) override {
    if (score.id == Tokenizer::kNoToken) return false;  // there is no token after the last one
    u32 first = static_cast<u32>(scores_.tops.size());
    kept_ = scores_.tops.append(score.top);
    if (kept_.has_value())
      kept_ = scores_.entries.push_back(
          {score.id, score.logprob_micro, first, static_cast<u32>(score.top.size())});
    return kept_.has_value();
  }
  bool goes_on() const override { return exchange_.parameters.cache_prompt; }
  bool on_chunk(u32, u32) override {
    exchange_.service().backend().let_others_step();
    return exchange_.has_reply();
  }
  Result<void> kept() { return kept_; }

 private:
  Exchange& exchange_;
  Exchange::Scores& scores_;
  Result<void> kept_;
};

// Scores one prompt at a time. The choices follow when all are scored.
class ScoreWork final : public EngineWork {
 public:
  using EngineWork::EngineWork;

 private:
  Result<bool> piece(Engine& engine) override {
    Exchange& e = exchange();
    const Vector<TokenId>& prompt = e.prompts[e.scores.size()];
    Exchange::Scores scores;
    TRY(scores.entries.push_back({prompt[0], 0, 0, 0}));
    Keeps keeps(e, scores);
    TRY(engine.score(prompt.view(), e.parameters.logprobs, keeps));
    TRY(keeps.kept());
    TRY(e.scores.push_back(std::move(scores)));
    return e.scores.size() == e.prompts.size();
  }
  void write(base::Writer&) override {}
};

}  // namespace

Result<void> Service::score_prompts(Exchange& exchange) {
  exchange.work = TRY(base::make<ScoreWork>(exchange));
  return {};
}

}  // namespace ai::openai
