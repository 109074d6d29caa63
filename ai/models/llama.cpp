// SPDX-License-Identifier: GPL-2.0-or-later
// Llama (arXiv 2302.13971) and the many families that differ from it by a bias, a norm or a number.
//
//   x += attention_output(attention(rope(q), rope(k), v))   q, k, v = W norm(x)
//   x += down(silu(gate(norm(x))) * up(norm(x)))
//
// Shapes: x (width); q (heads, key_width); k (kv_heads, key_width); v (kv_heads, value_width);
// gate, up (ffn_width).
#include "ai/models/family.h"
#include "ai/models/forward.h"

namespace ai {
namespace {

// In Mistral 7B every layer sees the last `window` positions. Llama 3.x has its RoPE factors in a
// tensor (rope_freqs); others scale linearly or by YaRN, which are common numbers.
Result<void> read_llama(const ParamReader& r, Hyperparameters& p) {
  p.window = TRY(r.number("attention.sliding_window", 0));
  p.moe.weights_norm = true;  // Mixtral: a softmax over the picked experts gives the same
  return {};
}

// Reads four scales that some Llamas have. `divisor` divides the logits if the file has no value.
Result<void> read_scales(const ParamReader& r, Hyperparameters& p, float divisor) {
  p.moe.weights_norm = true;
  p.embedding_scale = TRY(r.real("embedding_scale", p.embedding_scale));
  p.residual_scale = TRY(r.real("residual_scale", p.residual_scale));
  p.attention_scale = TRY(r.real("attention.scale", p.attention_scale));
  divisor = TRY(r.real("logit_scale", divisor));
  if (divisor == 0) return r.refuse("logit_scale", "a number other than 0");
  p.logit_scale = 1.0f / divisor;
  return {};
}

Result<void> read_granite(const ParamReader& r, Hyperparameters& p) {
  return read_scales(r, p, 1.0f);
}

// MiniCPM (arXiv 2404.06395): the first files do not contain their scales.
Result<void> read_minicpm(const ParamReader& r, Hyperparameters& p) {
  constexpr float kDepth = 1.4f, kBaseWidth = 256.0f;
  p.embedding_scale = 12.0f;
  p.residual_scale = kDepth / __builtin_sqrtf(static_cast<float>(p.layers));
  return read_scales(r, p, kBaseWidth / static_cast<float>(p.width));
}

// OLMo 3: every fourth layer sees everything and uses RoPE as the file says. The others have a
// window and unscaled RoPE.
Result<void> read_olmo2(const ParamReader& r, Hyperparameters& p) {
  p.window = TRY(r.number("attention.sliding_window", 0));
  p.window_period = 4;
  p.rope.plain_in_windows = true;
  return {};
}

// EXAONE 4 (arXiv 2507.11407): the large one is like OLMo 3, but its fourth layers have no RoPE.
Result<void> read_exaone4(const ParamReader& r, Hyperparameters& p) {
  constexpr u32 kLayersOf32B = 64;
  u32 window = TRY(r.number("attention.sliding_window", 4096));
  if (p.layers != kLayersOf32B) return {};
  p.window = window;
  p.window_period = p.rope.skip_period = 4;
  return {};
}

// SmolLM3: every fourth layer has no RoPE (arXiv 2501.18795).
Result<void> read_smollm3(const ParamReader& r, Hyperparameters& p) {
  TRY(read_llama(r, p));
  p.rope.skip_period = 4;
  return {};
}

using namespace family_words;

constexpr Architecture kRows[] = {
    {"llama", kRms, kBefore, kNeighbours, kSiluGated, kNoHeadNorms, read_llama},
    {"qwen2", kRms, kBefore, kHalves, kSiluGated},
    {"qwen3", kRms, kBefore, kHalves, kSiluGated, kHeadNorms},
    {"olmo2", kRms, kBehind, kHalves, kSiluGated, kHeadNorms, read_olmo2},
    {"exaone4", kRms, kBehind, kHalves, kSiluGated, kHeadNorms, read_exaone4},
    {"granite", kRms, kBefore, kNeighbours, kSiluGated, kNoHeadNorms, read_granite},
    {"granitemoe", kRms, kBefore, kNeighbours, kSiluGated, kNoHeadNorms, read_granite},
    {"minicpm", kRms, kBefore, kNeighbours, kSiluGated, kNoHeadNorms, read_minicpm},
    {"smollm3", kRms, kBefore, kNeighbours, kSiluGated, kNoHeadNorms, read_smollm3},
    {"internlm2", kRms, kBefore, kNeighbours, kSiluGated},
    {"exaone", kRms, kBefore, kHalves, kSiluGated},
    {"xverse", kRms, kBefore, kNeighbours, kSiluGated},
    {"ernie4_5", kRms, kBefore, kNeighbours, kSiluGated},
    {"chatglm", kRms, kBefore, kNeighbours, kSiluGated},
    {"glm4", kRms, kBoth, kNeighbours, kSiluGated},
    {"orion", kLayer, kBefore, kHalves, kSiluGated},
    {"stablelm", kLayer, kBefore, kHalves, kSiluGated},
};

}  // namespace

constinit const std::span<const Architecture> kLlamaFamily = kRows;

}  // namespace ai
