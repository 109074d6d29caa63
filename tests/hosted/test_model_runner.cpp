// SPDX-License-Identifier: GPL-2.0-or-later
// Loading and running for test_model_runner.h.
#include "tests/hosted/test_model_runner.h"

#include <algorithm>

#include "ai/gguf/llama2c.h"
#include "tests/hosted/test_expert_reader.h"

ModelRunner::~ModelRunner() = default;

Result<std::unique_ptr<ModelRunner>> ModelRunner::load(std::span<const Byte> file,
                                                       TestPlatform& platform,
                                                       const RunnerOptions& options) {
  auto runner = std::make_unique<ModelRunner>();
  ModelRunner& r = *runner;
  r.bytes_.assign(file.begin(), file.end());
  r.file_ = ai::is_llama2c(r.bytes_) ? TRY(ai::parse_llama2c(r.bytes_, {}, platform))
                                     : TRY(ai::GgufFile::parse(r.bytes_, platform));
  r.kernels_ = TRY(ai::kernels_by_name(options.kernels, platform.cpu_features()));
  const std::span<Byte> parts[] = {r.bytes_};
  ai::ModelOptions model_options{
      .kernels = &r.kernels_, .kv_type = options.kv_type, .context = options.context};
  if (options.reader != nullptr)
    TRY(r.load_streamed(options, model_options, platform));
  else
    r.model_ = TRY(ai::Model::load(*r.file_, parts, model_options, platform));
  r.rows_ = options.rows;
  r.workspace_ =
      TRY(r.model_->create_workspace({.rows = options.rows, .logit_rows = options.rows}));
  u32 pages = (options.context + r.model_->kv_page_positions() - 1) / r.model_->kv_page_positions();
  u32 all = pages * options.sequences;
  r.pages_.resize(all * r.model_->kv_page_bytes().whole);
  r.window_pages_.resize(all * r.model_->kv_page_bytes().window);
  r.page_lists_.resize(options.sequences);
  for (u32 i = 0; i < all; i++)
    r.page_lists_[i % options.sequences].push_back(all - 1 - i);  // neither in order nor together
  r.state_.resize(r.model_->state_bytes() * options.sequences);
  return runner;
}

// The weights beside the experts come from the reader, too.
Result<void> ModelRunner::load_streamed(const RunnerOptions& options, const ai::ModelOptions& model,
                                        TestPlatform& platform) {
  auto reader = TRY(base::make<BorrowedReader>(*options.reader));
  ai::StreamedFile source;
  source.reader = base::Owner<ai::FileReader>(reader.release());
  auto weights = TRY(ai::StreamedWeights::read(std::move(source), *file_, nullptr));
  const ai::StreamedWeights& kept = *weights;
  model_ = TRY(
      ai::Model::load_streamed(*file_, std::move(weights), options.expert_slots, model, platform));
  experts_ = &kept.store().figures();
  return {};
}

Result<std::vector<float>> ModelRunner::run(std::span<const u32> tokens, bool all, u32 chunk) {
  if (chunk == 0) chunk = rows_;
  u32 vocabulary = model_->params().vocabulary;
  std::vector<float> logits;
  const ai::KvView view = this->view(0);
  for (usize at = 0; at < tokens.size(); at += chunk) {
    usize count = std::min<usize>(chunk, tokens.size() - at);
    std::vector<ai::BatchRow> rows;
    usize wanted = 0;
    for (usize i = 0; i < count; i++) {
      bool wants = all || at + i + 1 == tokens.size();
      wanted += wants ? 1 : 0;
      rows.push_back({tokens[at + i], length_++, 0, wants});
    }
    usize before = logits.size();
    logits.resize(before + wanted * vocabulary);
    TRY(model_->forward(rows, {&view, 1}, *workspace_, std::span(logits).subspan(before)));
  }
  return logits;
}

Result<std::vector<float>> ModelRunner::hidden(std::span<const u32> tokens) {
  std::vector<ai::BatchRow> rows;
  for (u32 token : tokens) rows.push_back({token, length_++, 0, true});
  std::vector<float> out(tokens.size() * model_->params().width);
  const ai::KvView view = this->view(0);
  TRY(model_->forward_hidden(rows, {&view, 1}, *workspace_, out));
  return out;
}

ai::KvView ModelRunner::view(u32 sequence) {
  usize bytes = model_->state_bytes();
  return {.whole = {pages_.data(), page_lists_[sequence]},
          .window = {window_pages_.data(), page_lists_[sequence]},
          .state = std::span(state_).subspan(sequence * bytes, bytes)};
}

Result<std::vector<float>> ModelRunner::run_beside(std::span<const u32> company,
                                                   std::span<const u32> tokens) {
  constexpr u32 kChunk = 3;
  u32 vocabulary = model_->params().vocabulary, beside = 0;
  std::vector<float> logits(tokens.size() * vocabulary);
  const ai::KvView views[] = {view(0), view(1)};
  for (u32 i = 0; i < tokens.size(); i++) {
    std::vector<ai::BatchRow> rows;
    for (u32 k = 0; k < kChunk && beside < company.size(); k++, beside++)
      rows.push_back({company[beside], beside, 1, false});
    rows.push_back({tokens[i], i, 0, true});
    TRY(model_->forward(rows, views, *workspace_,
                        std::span(logits).subspan(usize{i} * vocabulary, vocabulary)));
  }
  return logits;
}

u32 ModelRunner::best(std::span<const float> logits, float* lead) {
  u32 first = 0;
  for (u32 i = 1; i < logits.size(); i++)
    if (logits[i] > logits[first]) first = i;
  float second = -1e30f;
  for (u32 i = 0; i < logits.size(); i++)
    if (i != first) second = std::max(second, logits[i]);
  if (lead != nullptr) *lead = logits[first] - second;
  return first;
}

Result<std::vector<u32>> ModelRunner::greedy(std::span<const u32> prompt, u32 count) {
  std::vector<u32> out;
  std::vector<float> logits = TRY(run(prompt, false));
  while (true) {
    out.push_back(best(logits));
    if (out.size() == count) return out;
    logits = TRY(run({&out.back(), 1}, false));
  }
}
