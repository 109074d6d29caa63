// SPDX-License-Identifier: GPL-2.0-or-later
// Llama (arXiv 2302.13971) and the many that differ from it by a bias, a norm or a number.
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

// Mistral 7B: every layer sees the last `window` positions. Llama 3.x brings its rope factors as
// a tensor (rope_freqs), others scale linearly or by YaRN: common numbers.
Result<void> read_llama(const ParamReader& r, Hyperparameters& p) {
  p.window = TRY(r.number("attention.sliding_window", 0));
  p.moe.weights_norm = true;  // Mixtral: softmax over the chosen ones is the same
  return {};
}

// Granite: four scales on a Llama. MiniCPM the same with other defaults.
Result<void> read_granite(const ParamReader& r, Hyperparameters& p) {
  TRY(read_llama(r, p));
  p.embedding_scale = TRY(r.real("embedding_scale", 1.0f));
  p.residual_scale = TRY(r.real("residual_scale", 1.0f));
  p.attention_scale = TRY(r.real("attention.scale", p.attention_scale));
  float divisor = TRY(r.real("logit_scale", 1.0f));
  if (divisor == 0) return r.refuse("logit_scale", "a number other than 0");
  p.logit_scale = 1.0f / divisor;
  return {};
}

// SmolLM3: each fourth layer does not turn (arXiv 2501.18795).
Result<void> read_smollm3(const ParamReader& r, Hyperparameters& p) {
  TRY(read_llama(r, p));
  p.rope.skip_period = 4;
  return {};
}

using enum NormKind;
using enum NormPlace;
using enum RopeKind;
using enum FfnKind;

constexpr Architecture kRows[] = {
    {"llama", kRms, kBefore, kNeighbours, kSiluGated, false, read_llama, nullptr, decoder_layer},
    {"qwen2", kRms, kBefore, kHalves, kSiluGated, false, nullptr, nullptr, decoder_layer},
    {"qwen3", kRms, kBefore, kHalves, kSiluGated, true, nullptr, nullptr, decoder_layer},
    {"olmo2", kRms, kBehind, kHalves, kSiluGated, true, nullptr, nullptr, decoder_layer},
    {"granite", kRms, kBefore, kNeighbours, kSiluGated, false, read_granite, nullptr,
     decoder_layer},
    {"smollm3", kRms, kBefore, kNeighbours, kSiluGated, false, read_smollm3, nullptr,
     decoder_layer},
    {"internlm2", kRms, kBefore, kNeighbours, kSiluGated, false, nullptr, nullptr, decoder_layer},
    {"exaone", kRms, kBefore, kHalves, kSiluGated, false, nullptr, nullptr, decoder_layer},
};

}  // namespace

constinit const std::span<const Architecture> kLlamaFamily = kRows;

}  // namespace ai
