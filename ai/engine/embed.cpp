// SPDX-License-Identifier: GPL-2.0-or-later
// Embeddings: the model reads the text once, and the hidden states of its tokens are pooled into
// one vector. Runs on the engine's thread, in chunks between which requests go on.
#include "ai/engine/engine_impl.h"
#include "ai/math/lane_sum.h"

namespace ai {
namespace {

Result<void> scale_to_length_one(std::span<float> vector) {
  float length = __builtin_sqrtf(
      lane_sum(static_cast<u32>(vector.size()), [&](u32 i) { return vector[i] * vector[i]; }));
  // A vector of length zero or infinity has no direction, so it cannot be normalized.
  if (!(length > 0) || length - length != 0)
    return fail(Errc::kCorrupt, "the model gave a vector whose length is zero or infinite");
  for (float& x : vector) x = x / length;
  return {};
}

}  // namespace

Result<void> EngineImpl::embed(std::span<const TokenId> tokens, Pooling pooling,
                               std::span<float> out, EmbedSink* sink) {
  if (parts_->info.ranks)
    return fail(Errc::kUnsupported, "this model is a reranker and gives no embeddings");
  if (out.size() != parts_->model->params().width)
    return fail(Errc::kInvalidArgument, "the output must have the model's width");
  Reading reading = TRY(begin_reading(tokens));
  Use use(*this);
  std::ranges::fill(out, 0.0f);
  u32 total = static_cast<u32>(tokens.size());
  while (reading.sequence.length < total) {
    TRY(embed_chunk(reading, tokens, pooling, out));
    if (sink != nullptr && !sink->on_read(reading.sequence.length, total))
      return fail(Errc::kCancelled, "the embedding was cancelled");
  }
  if (pooling == Pooling::kMean) {
    float count = static_cast<float>(tokens.size());
    for (float& x : out) x = x / count;
  }
  return scale_to_length_one(out);
}

// Adds the hidden states that the pooling uses to `sum`, in the order of the text, so that the
// result does not depend on where the text was cut into chunks.
Result<void> EngineImpl::embed_chunk(Reading& reading, std::span<const TokenId> tokens,
                                     Pooling pooling, std::span<float> sum) {
  Exclusive exclusive(*this);
  u32 first = reading.sequence.length, all = static_cast<u32>(tokens.size());
  usize width = sum.size();
  usize most = std::min<usize>(score_rows_.capacity(), logits_.size() / width);
  u32 count = static_cast<u32>(std::min<usize>(all - first, most));
  score_rows_.clear();
  u32 wanted = 0;
  for (u32 i = first; i < first + count; i++) {
    bool wants = pooling == Pooling::kMean || i == (pooling == Pooling::kFirst ? 0 : all - 1);
    wanted += wants ? 1 : 0;
    MUST(score_rows_.push_back({tokens[i], i, 0, wants}));
  }
  KvView view = reading.view(store_);
  std::span<float> hidden = logits_.view().first(wanted * width);
  computing_ = true;
  workspace_->abandoned = false;
  Result<void> done =
      parts_->model->forward_hidden(score_rows_.view(), {&view, 1}, *workspace_, hidden);
  computing_ = false;
  TRY(std::move(done));
  store_.commit(reading.sequence, tokens, first + count, false);
  for (u32 row = 0; row < wanted; row++)
    for (usize i = 0; i < width; i++) sum[i] = sum[i] + hidden[row * width + i];
  return {};
}

}  // namespace ai
