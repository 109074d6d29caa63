// SPDX-License-Identifier: GPL-2.0-or-later
// The GPT-2 line: layer norm, biases, a feed-forward net without a gate.
//
//   x += attention_output(attention(q, k, v))   q, k, v = W layer_norm(x) + b
//   x += down(gelu(up(layer_norm(x))))
//
// gpt2 and starcoder add a learned vector per position; starcoder2 uses RoPE instead. falcon and
// gptneox compute both branches from the same input.
#include "ai/models/family.h"
#include "ai/models/forward.h"

namespace ai {
namespace {

Result<void> read_gptneox(const ParamReader& r, Hyperparameters& p) {
  p.side_by_side = TRY(r.flag("use_parallel_residual", true));
  return {};
}

// Command R: a Llama's net between layer norms without bias, with both branches computed from the
// same input. In the second version, every fourth layer has neither window nor RoPE; the others
// have both.
Result<void> read_command_r(const ParamReader& r, Hyperparameters& p) {
  p.logit_scale = TRY(r.real("logit_scale", 1.0f));
  return {};
}
Result<void> read_cohere2(const ParamReader& r, Hyperparameters& p) {
  p.window = TRY(r.number("attention.sliding_window"));
  p.window_period = p.rope.skip_period = 4;
  return read_command_r(r, p);
}

// gpt2 has no RoPE, so without its table of positions it could not tell the order of tokens.
Result<void> check_positions(Platform& platform, const LayerWeights& weights,
                             const Hyperparameters& params, u32 layer) {
  if (!params.learned_positions) {
    log(platform, LogLevel::kError, "model: tensor 'position_embd.weight' is missing");
    return fail(Errc::kNotFound, "model: a tensor is missing");
  }
  return check_layer(platform, weights, params, layer);
}

using namespace family_words;

constexpr Architecture kRows[] = {
    {"gpt2", kLayer, kBefore, kNone, kGelu, kNoHeadNorms, nullptr, check_positions},
    {"starcoder", kLayer, kBefore, kNone, kGelu, kNoHeadNorms, nullptr, check_positions},
    {"starcoder2", kLayer, kBefore, kHalves, kGelu},
    {"falcon", kLayer, kShared, kHalves, kGelu},
    {"gptneox", kLayer, kBefore, kHalves, kGelu, kNoHeadNorms, read_gptneox},
    {"command-r", kLayer, kShared, kNeighbours, kSiluGated, kNoHeadNorms, read_command_r},
    {"cohere2", kLayer, kShared, kNeighbours, kSiluGated, kNoHeadNorms, read_cohere2},
    {"codeshell", kLayer, kBefore, kHalves, kGelu},
};

}  // namespace

constinit const std::span<const Architecture> kGptFamily = kRows;

}  // namespace ai
