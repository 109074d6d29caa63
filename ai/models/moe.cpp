// SPDX-License-Identifier: GPL-2.0-or-later
// Families whose feed-forward net picks from several experts. Attention is Llama's. Mixtral (arXiv
// 2401.04088) is a "llama" with experts and needs no row here.
//
//   x += sum over chosen experts of weight * down(silu(gate(n)) * up(n))      n = norm(x)
//
// Qwen2-MoE adds an expert for all tokens behind a sigmoid gate, and uses the weights as the
// softmax over all experts gives them. Qwen3-MoE and others scale the weights of the picked experts
// so that they sum to 1.
#include "ai/models/family.h"
#include "ai/models/forward.h"

namespace ai {
namespace {

std::unexpected<Error> no_experts(const ParamReader& r) {
  return r.refuse("expert_count", "at least 1");
}

Result<void> read_qwen2moe(const ParamReader& r, Hyperparameters& p) {
  if (p.moe.experts == 0) return no_experts(r);
  if (p.moe.shared_ffn_width == 0) p.moe.shared_ffn_width = p.ffn_width;
  return {};
}

Result<void> read_qwen3moe(const ParamReader& r, Hyperparameters& p) {
  if (p.moe.experts == 0) return no_experts(r);
  p.moe.weights_norm = true;
  return {};
}

Result<void> read_olmoe(const ParamReader& r, Hyperparameters& p) {
  if (p.moe.experts == 0) return no_experts(r);
  return {};
}

using namespace family_words;

constexpr Architecture kRows[] = {
    {"qwen2moe", kRms, kBefore, kHalves, kSiluGated, kNoHeadNorms, read_qwen2moe},
    {"qwen3moe", kRms, kBefore, kHalves, kSiluGated, kHeadNorms, read_qwen3moe},
    {"olmoe", kRms, kBefore, kHalves, kSiluGated, kHeadNorms, read_olmoe},
};

}  // namespace

constinit const std::span<const Architecture> kMoeFamily = kRows;

}  // namespace ai
