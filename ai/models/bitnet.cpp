// SPDX-License-Identifier: GPL-2.0-or-later
// Microsoft's BitNet b1.58 (arXiv 2402.17764, 2504.12285): a Llama whose matrices hold -1, 0 and 1
// times one number. Each branch has a norm more, in front of its last matrix.
//
//   x += attention_output(sub_norm(attention(rope(q), rope(k), v)))   q, k, v = W norm(x)
//   x += down(sub_norm(act(gate(norm(x))) * up(norm(x))))
//
// Shapes as in llama.cpp. act is silu in the first models (general.architecture is "bitnet") and
// the square of relu in those of Microsoft ("bitnet-b1.58", earlier "bitnet-25"). Some files keep
// the number of a matrix as a tensor: blk.0.attn_q.scale. Where they don't, it is in the blocks.
#include "ai/models/family.h"
#include "ai/models/forward.h"

namespace ai {
namespace {

Result<void> read_bitnet(const ParamReader&, Hyperparameters& p) {
  p.scaled_matrices = true;
  return {};
}

Result<void> check_bitnet(Platform& platform, const LayerWeights& w, const Hyperparameters& p,
                          u32 layer) {
  const Need needs[] = {{"attn_sub_norm", w.attention_sub_norm.present()},
                        {"ffn_sub_norm", w.ffn_sub_norm.present()},
                        {"ffn_gate", w.gate.present()}};
  TRY(require_weights(platform, layer, needs));
  return check_layer(platform, w, p, layer);
}

// Adds a branch's last product to x. A product that must be scaled cannot be added at once.
void add_product(Step& s, const Linear& linear, Rows in) {
  bool direct = linear.scale == 1.0f;
  s.multiply(in, {{linear, direct ? s.x : s.branch, direct}});
  if (!direct) s.join(s.branch);
}

void bitnet_layer(Step& s, u32 index) {
  const LayerWeights& w = s.layer(index);
  s.norm(w.attention_norm, s.x, s.normed);
  s.project_qkv(w, s.normed);
  s.attend(index);
  s.norm(w.attention_sub_norm, s.mixed, s.mixed);
  s.operation("attention output");
  add_product(s, w.attention_output, s.mixed);

  s.norm(w.ffn_norm, s.x, s.normed);
  s.gate_and_up(w.gate, w.up, s.normed, s.params().ffn_width);
  s.norm(w.ffn_sub_norm, s.gated, s.gated);
  s.operation("ffn down");
  add_product(s, w.down, s.gated);
}

using namespace family_words;

constexpr Architecture kRows[] = {
    {"bitnet", kRms, kBefore, kHalves, kSiluGated, kNoHeadNorms, read_bitnet, check_bitnet,
     bitnet_layer},
    {"bitnet-b1.58", kRms, kBefore, kHalves, kReluSquaredGated, kNoHeadNorms, read_bitnet,
     check_bitnet, bitnet_layer},
    {"bitnet-25", kRms, kBefore, kHalves, kReluSquaredGated, kNoHeadNorms, read_bitnet,
     check_bitnet, bitnet_layer},
};

}  // namespace

constinit const std::span<const Architecture> kBitnetFamily = kRows;

}  // namespace ai
