// SPDX-License-Identifier: GPL-2.0-or-later
// Embeddings: the model reads the text once, and the hidden states of its tokens are pooled into
// one vector. A reranker makes a score of the first one's. Runs on the engine's thread, in chunks
// between which requests go on.
#include "ai/engine/engine_impl.h"
#include "ai/math/lane_sum.h"
#include "ai/math/real.h"

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
  TRY(pool({tokens, static_cast<u32>(tokens.size())}, pooling, out, sink));
  return scale_to_length_one(out);
}

Result<RankScore> EngineImpl::rank(std::span<const TokenId> tokens, u32 second, EmbedSink* sink) {
  if (!parts_->info.ranks)
    return fail(Errc::kUnsupported, "this model is no reranker: load one to compare texts");
  Vector<float> first;
  TRY(first.resize(parts_->model->params().width));
  TRY(pool({tokens, second}, Pooling::kFirst, first.view(), sink));
  float raw = TRY(parts_->model->score(first.view()));
  return RankScore{raw, static_cast<float>(1 / (1 + real::exp(-static_cast<double>(raw))))};
}

// Writes the hidden states that the pooling uses to `out`: their sum, or their mean.
Result<void> EngineImpl::pool(const Pair& pair, Pooling pooling, std::span<float> out,
                              EmbedSink* sink) {
  std::span<const TokenId> tokens = pair.tokens;
  Reading reading = TRY(begin_reading(tokens));
  Use use(*this);
  std::ranges::fill(out, 0.0f);
  u32 total = static_cast<u32>(tokens.size());
  while (reading.sequence.length < total) {
    TRY(pool_chunk(reading, pair, pooling, out));
    if (sink != nullptr && !sink->on_read(reading.sequence.length, total))
      return fail(Errc::kCancelled, "the embedding was cancelled");
  }
  if (pooling == Pooling::kMean) {
    float count = static_cast<float>(tokens.size());
    for (float& x : out) x = x / count;
  }
  return {};
}

// Adds the hidden states that the pooling uses to `sum`, in the order of the text, so that the
// result does not depend on where the text was cut into chunks.
Result<void> EngineImpl::pool_chunk(Reading& reading, const Pair& pair, Pooling pooling,
                                    std::span<float> sum) {
  Exclusive exclusive(*this);
  std::span<const TokenId> tokens = pair.tokens;
  u32 first = reading.sequence.length, all = static_cast<u32>(tokens.size());
  usize width = sum.size();
  usize most = std::min<usize>(score_rows_.capacity(), logits_.size() / width);
  u32 count = static_cast<u32>(std::min<usize>(all - first, most));
  ASSERT(!parts_->info.encodes || count == all);  // create_buffers() made room for a whole context
  score_rows_.clear();
  u32 wanted = 0;
  for (u32 i = first; i < first + count; i++) {
    bool wants = pooling == Pooling::kMean || i == (pooling == Pooling::kFirst ? 0 : all - 1);
    wanted += wants ? 1 : 0;
    MUST(score_rows_.push_back({tokens[i], i, 0, wants, u8{i >= pair.second}}));
  }
  KvView view = reading.view(store_);
  std::span<float> hidden = logits_.view().first(wanted * width);
  computing_ = true;
  workspace_->abandoned = false;
  Result<void> done =
      parts_->model->forward_hidden(score_rows_.view(), {&view, 1}, *workspace_, hidden);
  computing_ = false;
  TRY(std::move(done));
  end_chunk(reading, tokens, first + count, false);
  for (u32 row = 0; row < wanted; row++)
    for (usize i = 0; i < width; i++) sum[i] = sum[i] + hidden[row * width + i];
  return {};
}

}  // namespace ai
