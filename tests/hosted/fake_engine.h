// SPDX-License-Identifier: GPL-2.0-or-later
// The base of the engines without a model. It gives the answers that they share: no pages, vectors
// along one axis, and a saved text that consists of its tokens.
#pragma once

#include <algorithm>
#include <functional>

#include "ai/engine/engine.h"
#include "ai/engine/kv_file.h"

class FakeEngine : public ai::Engine {
 public:
  const ai::ModelInfo& info() const override { return info_; }
  const ai::MemoryPlan& plan() const override { return plan_; }
  const char* kernels_name() const override { return "fake"; }
  u32 queued() const override { return 0; }
  u64 kv_pages_total() const override { return 10; }
  u64 kv_pages_used() const override { return running(); }
  u64 kv_pages_cached() const override { return 0; }
  void forget_prompts() override {}

  Result<u32> save(std::span<const ai::TokenId> tokens, ai::ByteSink& sink) override {
    TRY(sink.write({reinterpret_cast<const Byte*>(tokens.data()), tokens.size_bytes()}));
    return static_cast<u32>(tokens.size());
  }
  Result<Vector<ai::TokenId>> restore(ai::ByteSource& source) override {
    Vector<ai::TokenId> tokens;  // two, whatever was saved
    TRY(tokens.resize(2));
    TRY(source.read({reinterpret_cast<Byte*>(tokens.data()), 2 * sizeof(ai::TokenId)}));
    return tokens;
  }
  // The first letter decides: a vector of length 1 along one axis.
  Result<void> embed(std::span<const ai::TokenId> tokens, ai::Pooling, std::span<float> out,
                     ai::EmbedSink* sink) override {
    if (tokens.empty() || out.size() != info_.width)
      return fail(Errc::kInvalidArgument, "the prompt is empty");
    if (during_embedding) during_embedding();
    if (sink != nullptr && !sink->on_read(1, 1)) return fail(Errc::kCancelled, "not wanted");
    embedded++;
    for (usize i = 0; i < out.size(); i++) out[i] = i == tokens[0] % out.size() ? 1.0f : 0.0f;
    return {};
  }
  // The share of the second text's letters that the first one has; raw: less a half.
  Result<ai::RankScore> rank(std::span<const ai::TokenId> tokens, u32 second,
                             ai::EmbedSink* sink) override {
    if (sink != nullptr && !sink->on_read(1, 1)) return fail(Errc::kCancelled, "not wanted");
    auto query = tokens.first(second), document = tokens.subspan(second);
    auto shared = std::ranges::count_if(
        document, [&](ai::TokenId id) { return std::ranges::find(query, id) != query.end(); });
    float share = static_cast<float>(shared) / static_cast<float>(document.size());
    return ai::RankScore{share - 0.5f, share};
  }
  Result<void> add_draft(std::span<const std::span<Byte>>, const ai::EngineOptions&) override {
    return fail(Errc::kUnsupported, "this engine has no model to guess for");
  }
  Result<void> replay(const ai::Replay&, ai::ReplaySink&) override {
    return fail(Errc::kUnsupported, "this engine has no model to pick again with");
  }
  std::function<void()> during_embedding;
  u32 embedded = 0;

 protected:
  ai::ModelInfo info_;
  ai::MemoryPlan plan_;
};
