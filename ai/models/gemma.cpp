// SPDX-License-Identifier: GPL-2.0-or-later
// Google's Gemma: embeddings scaled by sqrt(width), gelu gates, norms that carry 1 + weight (the
// converter adds the 1).
//
// Gemma 2 (arXiv 2408.00118) has a norm before and behind each branch, soft caps on scores and
// logits, and a window in every other layer. Gemma 3 (arXiv 2503.19786) norms q and k; five of six
// layers have a window and a RoPE base of their own; there are no caps.
#include "ai/models/family.h"
#include "ai/models/forward.h"

namespace ai {
namespace {

Result<void> read_gemma(const ParamReader&, Hyperparameters& p) {
  p.embedding_scale = __builtin_sqrtf(static_cast<float>(p.width));
  return {};
}

// The largest Gemma scales its scores by the width that a head would have if it were width / heads.
void scale_by_model_width(Hyperparameters& p) {
  p.attention_scale =
      1.0f / __builtin_sqrtf(static_cast<float>(p.width) / static_cast<float>(p.heads));
}

Result<void> read_gemma2(const ParamReader& r, Hyperparameters& p) {
  TRY(read_gemma(r, p));
  constexpr u32 kLayersOf27B = 46;
  p.window = TRY(r.number("attention.sliding_window", 4096));
  p.window_period = 2;
  p.attention_cap = TRY(r.real("attn_logit_softcapping", 50.0f));
  p.logit_cap = TRY(r.real("final_logit_softcapping", 30.0f));
  if (p.attention_cap < 0) return r.refuse("attn_logit_softcapping", "0 or more");
  if (p.logit_cap < 0) return r.refuse("final_logit_softcapping", "0 or more");
  if (p.layers == kLayersOf27B) scale_by_model_width(p);
  return {};
}

Result<void> read_gemma3(const ParamReader& r, Hyperparameters& p) {
  TRY(read_gemma(r, p));
  constexpr u32 kLayersOf27B = 62;
  p.window = TRY(r.number("attention.sliding_window", 0));
  p.window_period = 6;
  p.rope.local_base = TRY(r.real("rope.freq_base_swa", 10000.0f));
  if (p.rope.local_base <= 0) return r.refuse("rope.freq_base_swa", "a positive number");
  p.logit_cap = TRY(r.real("final_logit_softcapping", 0.0f));
  if (p.logit_cap < 0) return r.refuse("final_logit_softcapping", "0 or more");
  if (p.layers == kLayersOf27B) scale_by_model_width(p);
  return {};
}

using namespace family_words;

constexpr Architecture kRows[] = {
    {"gemma", kRms, kBefore, kHalves, kGeluGated, kNoHeadNorms, read_gemma},
    {"gemma2", kRms, kBoth, kHalves, kGeluGated, kNoHeadNorms, read_gemma2},
    {"gemma3", kRms, kBoth, kHalves, kGeluGated, kHeadNorms, read_gemma3},
};

}  // namespace

constinit const std::span<const Architecture> kGemmaFamily = kRows;

}  // namespace ai
