// SPDX-License-Identifier: GPL-2.0-or-later
// /v1/completions with "echo" and "logprobs": how probable the prompts' own tokens are, as programs
// that evaluate models ask it.
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

// One prompt's scores as they come.
class Keeps final : public ScoreSink {
 public:
  Keeps(const Exchange& exchange, Exchange::Scores& scores)
      : exchange_(exchange), scores_(scores) {}

  bool on_score(const TokenScore& score) override {
    if (score.id == Tokenizer::kNoToken) return false;  // behind the last token
    u32 first = static_cast<u32>(scores_.tops.size());
    kept_ = scores_.tops.append(score.top);
    if (kept_.has_value())
      kept_ = scores_.entries.push_back(
          {score.id, score.logprob_micro, first, static_cast<u32>(score.top.size())});
    return kept_.has_value() && exchange_.has_reply();
  }
  Result<void> kept() { return kept_; }

 private:
  const Exchange& exchange_;
  Exchange::Scores& scores_;
  Result<void> kept_;
};

class ScoreWork final : public Work {
 public:
  // A prompt at a time; the choices follow when all are scored.
  Result<bool> run(Exchange& exchange, base::Writer&) override {
    Engine& engine = *exchange.service().backend().engine();
    const Vector<TokenId>& prompt = exchange.prompts[exchange.scores.size()];
    Exchange::Scores scores;
    TRY(scores.entries.push_back({prompt[0], 0, 0, 0}));
    Keeps keeps(exchange, scores);
    TRY(engine.score(prompt.view(), exchange.parameters.logprobs, keeps));
    TRY(keeps.kept());
    TRY(exchange.scores.push_back(std::move(scores)));
    return exchange.scores.size() == exchange.prompts.size();
  }
};

}  // namespace

Result<void> Service::score_prompts(Exchange& exchange) {
  exchange.work = TRY(base::make<ScoreWork>());
  return {};
}

}  // namespace ai::openai
