// SPDX-License-Identifier: GPL-2.0-or-later
// The weights of a model: found by name, checked for shape, and interleaved in place.
#pragma once

#include "ai/models/hyperparameters.h"
#include "ai/tensor.h"

namespace ai {

// A matrix (rows, columns) and its bias (rows), which may be empty. Stacked matrices (experts,
// heads) follow one another, and each is grouped separately.
struct Linear {
  TensorView weight;
  std::span<const float> bias;
  float scale =
      1.0f;  // of the product, before the bias is added (Hyperparameters::scaled_matrices)
  u32 stack = 1;

  bool present() const { return weight.present(); }
  u32 rows() const { return weight.rows / stack; }
  TensorView at(u32 index) const;
};

struct Norm {
  std::span<const float> weight, bias;  // bias may be empty
  bool present() const { return !weight.empty(); }
};

struct LayerWeights {
  Norm attention_norm, attention_norm_2, post_attention_norm, q_norm, k_norm;
  Norm ffn_norm, post_ffn_norm;
  Norm attention_sub_norm, ffn_sub_norm;  // in front of a branch's last matrix (bitnet)
  Linear q, k, v, qkv, attention_output;
  Linear gate, up, down;
  Linear router, gate_experts, up_experts, down_experts;
  Linear shared_router, shared_gate, shared_up, shared_down;
  std::span<const float> router_correction;  // (experts) deepseek v3
  // Latent attention.
  Linear q_a, q_b, kv_a, kv_b, k_b, v_b;
  Norm q_a_norm, kv_a_norm;
  // State space models.
  Linear ssm_in, ssm_x, ssm_dt, ssm_output;
  std::span<const float> ssm_conv, ssm_conv_bias, ssm_a, ssm_d;
  Norm ssm_dt_norm, ssm_b_norm, ssm_c_norm;
};

class ModelWeights {
 public:
  // Finds and checks every tensor, and refuses tensors that nothing uses. Rewrites matrices in
  // `parts`.
  static Result<ModelWeights> load(const GgufFile& file, std::span<const std::span<Byte>> parts,
                                   const Hyperparameters& params, Platform& platform);

  Linear embedding, position_embedding, output;  // output is the embedding if the two are tied
  Norm embedding_norm, output_norm;              // an encoder has no norm behind its last layer
  // (kinds, width) one is added to each token's embedding (bert): of its text, the first or second
  std::span<const float> segments;
  // of a reranker: score = head_output * tanh(head * x), or head_output * x without `head`
  Linear head, head_output;
  std::span<const float> rope_factors, rope_factors_long, rope_factors_short;
  Vector<LayerWeights> layers;

 private:
  friend class WeightLoader;
  Vector<Vector<float>> floats_;  // norms and biases, dequantized once
};

// Check that a layer has what it must have: attention with its norms, feed-forward or experts, or
// both. The first missing tensor is logged.
Result<void> check_attention(Platform& platform, const LayerWeights& weights,
                             const Hyperparameters& params, u32 layer);
Result<void> check_ffn(Platform& platform, const LayerWeights& weights,
                       const Hyperparameters& params, u32 layer);
Result<void> check_layer(Platform& platform, const LayerWeights& weights,
                         const Hyperparameters& params, u32 layer);
// A tensor that must exist, by name, and whether it does.
struct Need {
  const char* name;
  bool met;
};
Result<void> require_weights(Platform& platform, u32 layer, std::span<const Need> needs);

}  // namespace ai
