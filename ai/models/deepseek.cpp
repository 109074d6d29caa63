// SPDX-License-Identifier: GPL-2.0-or-later
// DeepSeek V2 and V3 (arXiv 2405.04434, 2412.19437): multi-head latent attention and experts.
//
//   c = norm(kv_a(n)), r = rope(rest of kv_a(n))       n = norm(x); c (kv_rank), r (rope_width)
//   q = q_b(norm(q_a(n))) or q(n)                      heads of nope_width + rope_width
//
// The same weights come in two forms. Older files have kv_b: the keys (nope part of kv_b(c), r) and
// the values of every head go to the cache. Newer files have k_b and v_b, one matrix per head: the
// cache holds (c, r) once, q is multiplied by k_b before the scores, and the result by v_b after
// them.
//
// DeepSeek MoE, the first one (arXiv 2401.06066), has Llama's attention in front of the same
// experts.
#include <algorithm>
#include <cstring>

#include "ai/math/real.h"
#include "ai/models/family.h"
#include "ai/models/forward.h"
#include "ai/quant/quant.h"

namespace ai {
namespace {

// Offsets of the columns in `scratch`.
struct Columns {
  u32 latent, q_rank, absorbed, up;
};
Columns columns_of(const Hyperparameters& p) {
  const MlaParams& m = p.mla;
  u32 latent_width = static_cast<u32>(row_stride(m.kv_rank + m.rope_width));
  u32 q_width = static_cast<u32>(row_stride(m.q_rank));
  return {0, latent_width, latent_width + q_width, latent_width + q_width};
}

bool is_absorbed(const Hyperparameters& p) {
  return p.kv_heads == 1 && p.key_width == p.mla.kv_rank + p.mla.rope_width;
}

Result<void> read_mla(const ParamReader& r, Hyperparameters& p) {
  constexpr u32 kWidest = 4096;
  MlaParams& m = p.mla;
  m.q_rank = TRY(r.number("attention.q_lora_rank", 0));
  m.kv_rank = TRY(r.number("attention.kv_lora_rank"));
  m.rope_width = p.rope.dimensions;
  bool absorbed = r.has("attention.key_length_mla");
  u32 head = absorbed ? TRY(r.number("attention.key_length_mla")) : p.key_width;
  m.value_width = absorbed ? TRY(r.number("attention.value_length_mla")) : p.value_width;
  if (m.kv_rank == 0 || m.kv_rank > kWidest) return r.refuse("attention.kv_lora_rank", "1 to 4096");
  if (m.q_rank > 4 * kWidest) return r.refuse("attention.q_lora_rank", "at most 16384");
  if (head <= m.rope_width || head > kMaxHeadWidth)
    return r.refuse("attention.key_length", "more than rope.dimension_count");
  if (m.value_width == 0 || m.value_width > kMaxHeadWidth)
    return r.refuse("attention.value_length", "a width of a head");
  m.nope_width = head - m.rope_width;
  p.kv_heads = absorbed ? 1 : p.heads;
  p.key_width = absorbed ? m.kv_rank + m.rope_width : head;
  p.value_width = absorbed ? m.kv_rank : m.value_width;
  if (p.key_width > kMaxHeadWidth)
    return r.refuse("attention.kv_lora_rank", "at most the widest head");
  u32 per_head = std::max(p.key_width, m.nope_width + m.value_width) + 64;
  p.scratch_width = columns_of(p).absorbed + p.heads * per_head;
  // YaRN's magnitude scales the scores instead of cosine and sine.
  float magnitude = 1.0f;
  if (p.rope.scaling == RopeScaling::kYarn)
    magnitude += p.rope.yarn_log_multiplier * static_cast<float>(real::log(p.rope.factor));
  p.rope.plain_magnitude = true;
  p.attention_scale = magnitude * magnitude / __builtin_sqrtf(static_cast<float>(head));
  return {};
}

// Reads which layers have no experts, the shared experts, and how the chosen experts' outputs are
// weighted.
Result<void> read_experts(const ParamReader& r, Hyperparameters& p) {
  MoeParams& moe = p.moe;
  moe.leading_dense = TRY(r.number("leading_dense_block_count", 0));
  if (moe.leading_dense > p.layers) return r.refuse("leading_dense_block_count", "at most all");
  if (moe.leading_dense > 0 && p.ffn_width == 0)
    return r.refuse("feed_forward_length", "1 or more");
  if (moe.experts == 0) return {};
  u64 shared = u64{TRY(r.number("expert_shared_count", 0))} * moe.ffn_width;
  if (shared > (1u << 20)) return r.refuse("expert_shared_count", "fewer");
  moe.shared_ffn_width = static_cast<u32>(shared);
  moe.weights_scale = TRY(r.real("expert_weights_scale", 1.0f));
  if (moe.weights_scale == 0) moe.weights_scale = 1.0f;
  return {};
}

Result<void> read_deepseek2(const ParamReader& r, Hyperparameters& p) {
  TRY(read_mla(r, p));
  TRY(read_experts(r, p));
  MoeParams& moe = p.moe;
  if (moe.experts == 0) return {};
  moe.weights_norm = TRY(r.flag("expert_weights_norm", false));
  u32 gate = TRY(r.number("expert_gating_func", 1));
  if (gate < 1 || gate > 2) return r.refuse("expert_gating_func", "1 (softmax) or 2 (sigmoid)");
  moe.sigmoid = gate == 2;
  moe.groups = TRY(r.number("expert_group_count", 1));
  moe.groups_used = TRY(r.number("expert_group_used_count", 1));
  if (moe.groups == 0) moe.groups = moe.groups_used = 1;
  if (moe.groups > 64 || moe.experts % moe.groups != 0)
    return r.refuse("expert_group_count", "at most 64, a divisor of expert_count");
  if (moe.groups_used == 0 || moe.groups_used > moe.groups ||
      moe.experts / moe.groups * moe.groups_used < moe.experts_used)
    return r.refuse("expert_group_used_count", "enough groups for expert_used_count");
  return {};
}

Result<void> check(Platform& platform, const LayerWeights& w, const Hyperparameters& p, u32 layer) {
  bool absorbed = is_absorbed(p), low = p.mla.q_rank > 0;
  const Need needs[] = {{"attn_norm", w.attention_norm.present()},
                        {"ffn_norm", w.ffn_norm.present()},
                        {"attn_q", low || w.q.present()},
                        {"attn_q_a", !low || w.q_a.present()},
                        {"attn_q_a_norm", !low || w.q_a_norm.present()},
                        {"attn_q_b", !low || w.q_b.present()},
                        {"attn_kv_a_mqa", w.kv_a.present()},
                        {"attn_kv_a_norm", w.kv_a_norm.present()},
                        {"attn_kv_b", absorbed || w.kv_b.present()},
                        {"attn_k_b", !absorbed || w.k_b.present()},
                        {"attn_v_b", !absorbed || w.v_b.present()},
                        {"attn_output", w.attention_output.present()}};
  TRY(require_weights(platform, layer, needs));
  return check_ffn(platform, w, p, layer);
}

// Multiplies one small matrix per head: columns [h * in_width, ...) of `in` by matrix h of
// `weights`.
void multiply_heads(Step& s, const Linear& weights, Rows in, u32 in_width, Rows out,
                    u32 out_width) {
  ActivationType type = quant_info(weights.weight.type).activation;
  usize area = s.layout().quantized[static_cast<usize>(type)];
  usize bytes = in.count * activation_bytes(type, weights.weight.columns);
  auto* products = s.at<Product>(s.layout().products);
  for (u32 h = 0; h < weights.stack; h++) {
    Step::Activations a =
        s.quantize(in.from(h * in_width), weights.weight.columns, type, area + h * bytes);
    products[h] = {weights.at(h), {}, a.data, a.bytes, out.from(h * out_width), false};
  }
  s.run({products, weights.stack});
}

void attend_absorbed(Step& s, const LayerWeights& w, u32 layer) {
  const Hyperparameters& p = s.params();
  const MlaParams& m = p.mla;
  u32 head = m.nope_width + m.rope_width;
  Rows latent = s.scratch, absorbed = s.scratch.from(columns_of(p).absorbed);
  multiply_heads(s, w.k_b, s.qkv, head, absorbed, p.key_width);
  s.for_rows(s.qkv.count, [&](u32 row) {
    for (u32 h = 0; h < p.heads; h++)
      std::memcpy(absorbed[row] + usize{h} * p.key_width + m.kv_rank,
                  s.qkv[row] + usize{h} * head + m.nope_width, m.rope_width * sizeof(float));
  });
  s.store(layer, latent, latent);  // stores (c, r); the value is c
  s.mix(layer, absorbed);
  multiply_heads(s, w.v_b, s.mixed, m.kv_rank, s.qkv, m.value_width);
}

void attend_expanded(Step& s, const LayerWeights& w, u32 layer) {
  const Hyperparameters& p = s.params();
  const MlaParams& m = p.mla;
  u32 both = m.nope_width + m.value_width;
  Rows latent = s.scratch, up = s.scratch.from(columns_of(p).up);
  Rows keys = s.qkv.from(p.heads * p.key_width);
  Rows values = keys.from(p.heads * p.key_width);
  s.multiply(latent, {{w.kv_b, up}});
  s.for_rows(latent.count, [&](u32 row) {
    for (u32 h = 0; h < p.heads; h++) {
      const float* from = up[row] + usize{h} * both;
      float* key = keys[row] + usize{h} * p.key_width;
      std::memcpy(key, from, m.nope_width * sizeof(float));
      std::memcpy(key + m.nope_width, latent[row] + m.kv_rank, m.rope_width * sizeof(float));
      std::memcpy(values[row] + usize{h} * m.value_width, from + m.nope_width,
                  m.value_width * sizeof(float));
    }
  });
  s.store(layer, keys, values);
  s.mix(layer, s.qkv);
}

void deepseek2_layer(Step& s, u32 layer) {
  const LayerWeights& w = s.layer(layer);
  const Hyperparameters& p = s.params();
  Rows latent = s.scratch, low = s.scratch.from(columns_of(p).q_rank);

  s.norm(w.attention_norm, s.x, s.normed);
  if (p.mla.q_rank > 0) {
    s.multiply(s.normed, {{w.q_a, low}, {w.kv_a, latent}});
    s.norm(w.q_a_norm, low, low);
    s.multiply(low, {{w.q_b, s.qkv}});
  } else {
    s.multiply(s.normed, {{w.q, s.qkv}, {w.kv_a, latent}});
  }
  s.norm(w.kv_a_norm, latent, latent);
  s.turn(s.qkv, p.heads, p.mla.nope_width + p.mla.rope_width, p.mla.nope_width, 0);
  s.turn(latent, 1, p.mla.kv_rank + p.mla.rope_width, p.mla.kv_rank, 0);
  bool absorbed = is_absorbed(p);
  if (absorbed) {
    attend_absorbed(s, w, layer);
  } else {
    attend_expanded(s, w, layer);
  }
  s.multiply(absorbed ? s.qkv : s.mixed, {{w.attention_output, s.x, true}});

  s.norm(w.ffn_norm, s.x, s.normed);
  s.feed_forward(layer, s.normed, s.x, true);
}

using namespace family_words;

constexpr Architecture kRows[] = {
    {"deepseek2", kRms, kBefore, kNeighbours, kSiluGated, kNoHeadNorms, read_deepseek2, check,
     deepseek2_layer},
    {"deepseek", kRms, kBefore, kNeighbours, kSiluGated, kNoHeadNorms, read_experts},
};

}  // namespace

constinit const std::span<const Architecture> kDeepseekFamily = kRows;

}  // namespace ai
