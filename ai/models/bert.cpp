// SPDX-License-Identifier: GPL-2.0-or-later
// BERT and its relatives (arXiv 1810.04805): encoders. Every token sees the whole text, so a text
// is computed in one step. They give vectors and write no text.
//
//   x = layer_norm(x + attention_output(attention(q, k, v)))   q, k, v = W x + b
//   x = layer_norm(x + down(gelu(up(x))))
//
// bert adds a learned vector per position. nomic-bert (arXiv 2402.01613) uses RoPE instead, and a
// gated net without biases. jina-bert-v2 (arXiv 2310.19923) has no positions: the score of a pair
// falls with its distance (ALiBi), and the net is gated. Its model for code norms queries and keys
// and has a further norm: x = layer_norm(x + layer_norm(x + attention_output(…))). All add a vector
// that tells the first text from the second one.
#include <algorithm>

#include "ai/models/family.h"
#include "ai/models/forward.h"

namespace ai {
namespace {

Result<void> read_encoder(const ParamReader&, Hyperparameters& p) {
  p.bidirectional = true;
  return {};
}

Result<void> read_jina(const ParamReader& r, Hyperparameters& p) {
  constexpr float kUsual = 8.0f, kMost = 1024.0f;  // converters do not write the usual one
  p.alibi = TRY(r.real("attention.max_alibi_bias", kUsual));
  if (p.alibi <= 0 || p.alibi > kMost)
    return r.refuse("attention.max_alibi_bias", "a positive number up to 1024");
  return read_encoder(r, p);
}

Result<void> check_encoder(Platform& platform, const LayerWeights& w, const Hyperparameters& p,
                           u32 layer) {
  const Need needs[] = {{"attn_output_norm", w.post_attention_norm.present()},
                        {"layer_output_norm", w.post_ffn_norm.present()}};
  TRY(require_weights(platform, layer, needs));
  bool knows_order = p.architecture->rope != RopeKind::kNone || p.learned_positions || p.alibi > 0;
  if (!knows_order) {
    log(platform, LogLevel::kError, "model: tensor 'position_embd.weight' is missing");
    return fail(Errc::kNotFound, "model: a tensor is missing");
  }
  return check_layer(platform, w, p, layer);
}

void encoder_layer(Step& s, u32 index) {
  const LayerWeights& w = s.layer(index);
  bool twice = w.attention_norm_2.present();
  if (twice)
    s.for_rows(s.x.count, [&](u32 row) { std::copy_n(s.x[row], s.params().width, s.branch[row]); });
  s.project_qkv(w, s.x);
  s.attend(index);
  s.project_attention(w, s.x, true);
  s.norm(w.post_attention_norm, s.x, s.x);
  if (twice) {
    s.join(s.branch);
    s.norm(w.attention_norm_2, s.x, s.x);
  }
  s.feed_forward(index, s.x, s.x, true);
  s.norm(w.post_ffn_norm, s.x, s.x);
}

using namespace family_words;

constexpr Architecture kRows[] = {
    {"bert", kLayer, kBehind, kNone, kGelu, kNoHeadNorms, read_encoder, check_encoder,
     encoder_layer},
    {"nomic-bert", kLayer, kBehind, kHalves, kSiluGated, kNoHeadNorms, read_encoder, check_encoder,
     encoder_layer},
    {"jina-bert-v2", kLayer, kBehind, kNone, kGeluGated, kNoHeadNorms, read_jina, check_encoder,
     encoder_layer},
};

}  // namespace

constinit const std::span<const Architecture> kBertFamily = kRows;

}  // namespace ai
