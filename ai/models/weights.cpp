// SPDX-License-Identifier: GPL-2.0-or-later
// Loads tensors by table: names, shapes, and which ones must exist. Then interleaves every matrix
// into groups of 16 rows.
#include "ai/models/weights.h"

#include <algorithm>

#include "ai/gguf/layout.h"
#include "ai/gguf/pack.h"
#include "ai/models/family.h"
#include "ai/quant/groups.h"

namespace ai {
namespace {

enum class Dim : u8 {
  kOne,
  kWidth,
  kQuery,  // heads * width of a head
  kKey,    // kv_heads * key_width
  kValue,  // kv_heads * value_width
  kQkv,    // the three above together
  kMixed,  // heads * value width of a head
  kFfn,    // of a layer without experts
  kFfnUp,  // kFfn, or twice that if the same matrix has the gate
  kVocabulary,
  kContext,
  kExperts,
  kExpertFfn,
  kSharedFfn,
  kHeads,
  kHeadKey,
  kMlaQRank,
  kMlaKvRank,
  kMlaKvDown,  // kv_rank + rope_width
  kMlaKvUp,    // heads * (nope_width + value_width)
  kMlaNope,
  kMlaValue,
  kSsmInner,
  kSsmInner2,
  kSsmState,
  kSsmConv,
  kSsmRank,
  kSsmX,  // step_rank + 2 * state_width
};

u64 size_of(Dim dim, const Hyperparameters& p) {
  const MlaParams& mla = p.mla;
  const SsmParams& ssm = p.ssm;
  u64 head = mla.kv_rank > 0 ? mla.nope_width + mla.rope_width : p.key_width;
  u64 head_value = mla.kv_rank > 0 ? mla.value_width : p.value_width;
  u64 query = p.heads * head, key = u64{p.kv_heads} * p.key_width;
  u64 value = u64{p.kv_heads} * p.value_width;
  switch (dim) {
    case Dim::kOne:
      return 1;
    case Dim::kWidth:
      return p.width;
    case Dim::kQuery:
      return query;
    case Dim::kKey:
      return key;
    case Dim::kValue:
      return value;
    case Dim::kQkv:
      return query + key + value;
    case Dim::kMixed:
      return p.heads * head_value;
    case Dim::kFfn:
    case Dim::kFfnUp:
      return p.ffn_width;
    case Dim::kVocabulary:
      return p.vocabulary;
    case Dim::kContext:
      return p.trained_context;
    case Dim::kExperts:
      return p.moe.experts;
    case Dim::kExpertFfn:
      return p.moe.ffn_width;
    case Dim::kSharedFfn:
      return p.moe.shared_ffn_width;
    case Dim::kHeads:
      return p.heads;
    case Dim::kHeadKey:
      return p.key_width;
    case Dim::kMlaQRank:
      return mla.q_rank;
    case Dim::kMlaKvRank:
      return mla.kv_rank;
    case Dim::kMlaKvDown:
      return u64{mla.kv_rank} + mla.rope_width;
    case Dim::kMlaKvUp:
      return u64{p.heads} * (u64{mla.nope_width} + mla.value_width);
    case Dim::kMlaNope:
      return mla.nope_width;
    case Dim::kMlaValue:
      return mla.value_width;
    case Dim::kSsmInner:
      return ssm.inner_width;
    case Dim::kSsmInner2:
      return u64{2} * ssm.inner_width;
    case Dim::kSsmState:
      return ssm.state_width;
    case Dim::kSsmConv:
      return ssm.conv_width;
    case Dim::kSsmRank:
      return ssm.step_rank;
    case Dim::kSsmX:
      return u64{ssm.step_rank} + 2 * u64{ssm.state_width};
  }
  return 0;
}

struct LinearRow {
  const char* name;
  Linear LayerWeights::* member;
  Dim columns, rows, stack = Dim::kOne;
};

using W = LayerWeights;
constexpr LinearRow kLinears[] = {
    {"attn_q", &W::q, Dim::kWidth, Dim::kQuery},
    {"attn_k", &W::k, Dim::kWidth, Dim::kKey},
    {"attn_v", &W::v, Dim::kWidth, Dim::kValue},
    {"attn_qkv", &W::qkv, Dim::kWidth, Dim::kQkv},
    {"attn_output", &W::attention_output, Dim::kMixed, Dim::kWidth},
    {"ffn_gate", &W::gate, Dim::kWidth, Dim::kFfn},
    {"ffn_up", &W::up, Dim::kWidth, Dim::kFfnUp},
    {"ffn_down", &W::down, Dim::kFfn, Dim::kWidth},
    {"ffn_gate_inp", &W::router, Dim::kWidth, Dim::kExperts},
    {"ffn_gate_exps", &W::gate_experts, Dim::kWidth, Dim::kExpertFfn, Dim::kExperts},
    {"ffn_up_exps", &W::up_experts, Dim::kWidth, Dim::kExpertFfn, Dim::kExperts},
    {"ffn_down_exps", &W::down_experts, Dim::kExpertFfn, Dim::kWidth, Dim::kExperts},
    {"ffn_gate_inp_shexp", &W::shared_router, Dim::kWidth, Dim::kOne},
    {"ffn_gate_shexp", &W::shared_gate, Dim::kWidth, Dim::kSharedFfn},
    {"ffn_up_shexp", &W::shared_up, Dim::kWidth, Dim::kSharedFfn},
    {"ffn_down_shexp", &W::shared_down, Dim::kSharedFfn, Dim::kWidth},
    {"attn_q_a", &W::q_a, Dim::kWidth, Dim::kMlaQRank},
    {"attn_q_b", &W::q_b, Dim::kMlaQRank, Dim::kQuery},
    {"attn_kv_a_mqa", &W::kv_a, Dim::kWidth, Dim::kMlaKvDown},
    {"attn_kv_b", &W::kv_b, Dim::kMlaKvRank, Dim::kMlaKvUp},
    {"attn_k_b", &W::k_b, Dim::kMlaNope, Dim::kMlaKvRank, Dim::kHeads},
    {"attn_v_b", &W::v_b, Dim::kMlaKvRank, Dim::kMlaValue, Dim::kHeads},
    {"ssm_in", &W::ssm_in, Dim::kWidth, Dim::kSsmInner2},
    {"ssm_x", &W::ssm_x, Dim::kSsmInner, Dim::kSsmX},
    {"ssm_dt", &W::ssm_dt, Dim::kSsmRank, Dim::kSsmInner},
    {"ssm_out", &W::ssm_output, Dim::kSsmInner, Dim::kWidth},
};

struct NormRow {
  const char* name;
  Norm LayerWeights::* member;
  Dim size, or_size;
};
constexpr NormRow kNorms[] = {
    {"attn_norm", &W::attention_norm, Dim::kWidth, Dim::kWidth},
    {"attn_norm_2", &W::attention_norm_2, Dim::kWidth, Dim::kWidth},
    {"post_attention_norm", &W::post_attention_norm, Dim::kWidth, Dim::kWidth},
    {"attn_q_norm", &W::q_norm, Dim::kHeadKey, Dim::kQuery},
    {"attn_k_norm", &W::k_norm, Dim::kHeadKey, Dim::kKey},
    {"attn_output_norm", &W::post_attention_norm, Dim::kWidth, Dim::kWidth},  // bert's names
    {"layer_output_norm", &W::post_ffn_norm, Dim::kWidth, Dim::kWidth},
    {"ffn_norm", &W::ffn_norm, Dim::kWidth, Dim::kWidth},
    {"post_ffw_norm", &W::post_ffn_norm, Dim::kWidth, Dim::kWidth},
    {"attn_sub_norm", &W::attention_sub_norm, Dim::kMixed, Dim::kMixed},
    {"ffn_sub_norm", &W::ffn_sub_norm, Dim::kFfn, Dim::kFfn},
    {"attn_q_a_norm", &W::q_a_norm, Dim::kMlaQRank, Dim::kMlaQRank},
    {"attn_kv_a_norm", &W::kv_a_norm, Dim::kMlaKvRank, Dim::kMlaKvRank},
    {"ssm_dt_norm", &W::ssm_dt_norm, Dim::kSsmRank, Dim::kSsmRank},
    {"ssm_b_norm", &W::ssm_b_norm, Dim::kSsmState, Dim::kSsmState},
    {"ssm_c_norm", &W::ssm_c_norm, Dim::kSsmState, Dim::kSsmState},
};

struct FloatsRow {
  const char* name;  // full name, with its suffix if it has one
  std::span<const float> LayerWeights::* member;
  Dim columns, rows;
};
constexpr FloatsRow kFloats[] = {
    {"exp_probs_b.bias", &W::router_correction, Dim::kExperts, Dim::kOne},
    {"ssm_conv1d.weight", &W::ssm_conv, Dim::kSsmConv, Dim::kSsmInner},
    {"ssm_conv1d.bias", &W::ssm_conv_bias, Dim::kSsmInner, Dim::kOne},
    {"ssm_a", &W::ssm_a, Dim::kSsmState, Dim::kSsmInner},
    {"ssm_d", &W::ssm_d, Dim::kSsmInner, Dim::kOne},
};

// Tensors that this code does not need and may safely ignore.
constexpr std::string_view kIgnored[] = {"attn_rot_embd.weight", "attn_rot_embd"};

}  // namespace

TensorView Linear::at(u32 index) const {
  TensorView part = weight;
  part.rows = rows();
  usize bytes = part.rows * part.row_bytes;
  part.data = weight.data.subspan(index * bytes, bytes);
  return part;
}

class WeightLoader {
 public:
  WeightLoader(const GgufFile& file, const Hyperparameters& params, ModelWeights& weights)
      : file_(file), params_(params), weights_(weights) {}

  Result<void> load() {
    TRY(used_.resize(file_.tensors().size()));
    TRY(load_shared());
    TRY(weights_.layers.resize(params_.layers));
    for (u32 i = 0; i < params_.layers; i++) TRY(load_layer(weights_.layers[i], i));
    for (usize i = 0; i < used_.size(); i++)
      if (used_[i] == 0) TRY(refuse_left_over(file_.tensors()[i].name));
    return {};
  }

 private:
  Result<void> load_shared() {
    u32 columns = params_.width, rows = params_.vocabulary;
    TRY(linear("token_embd", columns, rows, 1, weights_.embedding));
    TRY(linear("position_embd", columns, params_.trained_context, 1, weights_.position_embedding));
    TRY(linear("output", columns, rows, 1, weights_.output));
    if (!weights_.output.present()) {
      weights_.output.weight = weights_.embedding.weight;
    }
    TRY(norm("token_embd_norm", columns, columns, weights_.embedding_norm));
    TRY(norm("output_norm", columns, columns, weights_.output_norm));
    if (!weights_.output_norm.present() && !params_.bidirectional)
      return missing("output_norm.weight");
    if (params_.bidirectional) TRY(load_encoder());
    u64 turns = params_.rope.dimensions / 2;
    TRY(floats("rope_freqs", ".weight", turns, 1, weights_.rope_factors));
    TRY(floats("rope_factors_long", ".weight", turns, 1, weights_.rope_factors_long));
    return floats("rope_factors_short", ".weight", turns, 1, weights_.rope_factors_short);
  }

  // Reads what only encoders have.
  Result<void> load_encoder() {
    const GgufTensor* head = find("cls", ".weight");
    if (head != nullptr && head->dimensions[1] == 1) {  // the whole head (jina's rerankers)
      TRY(linear("cls", params_.width, 1, 1, weights_.head_output));
    } else {
      TRY(linear("cls", params_.width, params_.width, 1, weights_.head));
      TRY(linear("cls.output", params_.width, 1, 1, weights_.head_output));
    }
    const GgufTensor* t = find("token_types", ".weight");
    if (t == nullptr) return {};
    TRY(check_shape(*t, params_.width, std::max<u64>(1, t->dimensions[1]), 1));
    return dequantize_all(*t, weights_.segments);
  }

  Result<void> load_layer(LayerWeights& layer, u32 index) {
    prefix_size_ = base::format_into(prefix_, "blk.{}.", index).size();
    for (const LinearRow& row : kLinears) {
      u64 rows = size_of(row.rows, params_);
      if (row.rows == Dim::kFfnUp && gate_is_in_up()) rows *= 2;
      TRY(linear(row.name, size_of(row.columns, params_), rows, size_of(row.stack, params_),
                 layer.*row.member));
    }
    for (const NormRow& row : kNorms)
      TRY(norm(row.name, size_of(row.size, params_), size_of(row.or_size, params_),
               layer.*row.member));
    for (const FloatsRow& row : kFloats)
      TRY(floats(row.name, "", size_of(row.columns, params_), size_of(row.rows, params_),
                 layer.*row.member));
    return {};
  }

  bool gate_is_in_up() {
    return params_.architecture->ffn != FfnKind::kGelu &&
           file_.find_tensor(name("ffn_gate", ".weight")) == nullptr;
  }

  std::string_view name(std::string_view middle, std::string_view suffix) {
    return base::format_into(name_, "{}{}{}", std::string_view(prefix_, prefix_size_), middle,
                             suffix);
  }

  const GgufTensor* find(std::string_view middle, std::string_view suffix) {
    const GgufTensor* tensor = file_.find_tensor(name(middle, suffix));
    if (tensor != nullptr) used_[static_cast<usize>(tensor - file_.tensors().data())] = 1;
    return tensor;
  }

  Result<void> check_shape(const GgufTensor& t, u64 columns, u64 rows, u64 stack) {
    if (t.dimensions[0] == columns && t.dimensions[1] == rows && t.dimensions[2] == stack &&
        t.dimensions[3] == 1)
      return {};
    log(file_.platform(), LogLevel::kError,
        "model: tensor '{}' is {} x {} x {}, expected {} x {} x {}", t.name, t.dimensions[0],
        t.dimensions[1], t.dimensions[2], columns, rows, stack);
    return fail(Errc::kCorrupt, "model: a tensor has the wrong shape");
  }

  // An absent tensor leaves `out` empty. check_weights() decides which ones must exist.
  Result<void> linear(std::string_view middle, u64 columns, u64 rows, u64 stack, Linear& out) {
    const GgufTensor* t = find(middle, ".weight");
    if (t != nullptr) {
      if (rows == 1 && t->dimension_count == 1) {  // a router with one output may be a vector
        TRY(check_shape(*t, columns, 1, 1));
      } else {
        TRY(check_shape(*t, columns, rows, stack));
      }
      out.weight = t->view;
      out.weight.grouped = t->dimension_count > 1;
      out.stack = static_cast<u32>(stack);
    }
    if (params_.scaled_matrices) {
      std::span<const float> scale;
      TRY(floats(middle, ".scale", 1, 1, scale));
      if (!scale.empty()) out.scale = scale[0];
    }
    const GgufTensor* bias = find(middle, ".bias");
    if (bias == nullptr) return {};
    TRY(check_shape(*bias, rows, stack, 1));
    return dequantize_all(*bias, out.bias);
  }

  Result<void> norm(std::string_view middle, u64 size, u64 or_size, Norm& out) {
    const GgufTensor* t = find(middle, ".weight");
    if (t != nullptr) {
      if (t->dimensions[0] == or_size) size = or_size;
      TRY(check_shape(*t, size, 1, 1));
      TRY(dequantize_all(*t, out.weight));
    }
    const GgufTensor* bias = find(middle, ".bias");
    if (bias == nullptr) return {};
    TRY(check_shape(*bias, size, 1, 1));
    return dequantize_all(*bias, out.bias);
  }

  Result<void> floats(std::string_view middle, std::string_view suffix, u64 columns, u64 rows,
                      std::span<const float>& out) {
    const GgufTensor* t = find(middle, suffix);
    if (t == nullptr) return {};
    TRY(check_shape(*t, columns, rows, 1));
    return dequantize_all(*t, out);
  }

  Result<void> dequantize_all(const GgufTensor& t, std::span<const float>& out) {
    TensorView view = t.view;
    view.grouped = t.dimension_count > 1 && is_grouped_file(file_);
    Vector<float> values;
    TRY(values.resize(usize{view.columns} * view.rows));
    for (u32 row = 0; row < view.rows; row++)
      dequantize_row(view, row, values.data() + usize{row} * view.columns);
    TRY(weights_.floats_.push_back(std::move(values)));
    out = weights_.floats_.back().view();
    return {};
  }

  Result<void> refuse_left_over(std::string_view tensor) {
    for (std::string_view ignored : kIgnored)
      if (tensor.ends_with(ignored)) return {};
    log(file_.platform(), LogLevel::kError, "model: nothing uses tensor '{}' in architecture '{}'",
        tensor, params_.name);
    return fail(Errc::kUnsupported,
                "model: the file has a tensor that this architecture does not use");
  }

  std::unexpected<Error> missing(std::string_view tensor) {
    log(file_.platform(), LogLevel::kError, "model: tensor '{}' is missing", tensor);
    return fail(Errc::kNotFound, "model: a tensor is missing");
  }

  const GgufFile& file_;
  const Hyperparameters& params_;
  ModelWeights& weights_;
  Vector<u8> used_;  // indexed by the tensor's position in the file
  char prefix_[24] = {};
  usize prefix_size_ = 0;
  char name_[96] = {};
};

Result<void> require_weights(Platform& platform, u32 layer, std::span<const Need> needs) {
  for (const Need& need : needs) {
    if (need.met) continue;
    log(platform, LogLevel::kError, "model: tensor 'blk.{}.{}.weight' is missing", layer,
        need.name);
    return fail(Errc::kNotFound, "model: a tensor is missing");
  }
  return {};
}

Result<void> check_layer(Platform& platform, const LayerWeights& weights,
                         const Hyperparameters& params, u32 layer) {
  TRY(check_attention(platform, weights, params, layer));
  return check_ffn(platform, weights, params, layer);
}

Result<void> check_ffn(Platform& platform, const LayerWeights& w, const Hyperparameters& p,
                       u32 layer) {
  if (p.moe.experts > 0 && layer >= p.moe.leading_dense) {
    bool shared = p.moe.shared_ffn_width > 0;
    const Need needs[] = {{"ffn_gate_inp", w.router.present()},
                          {"ffn_gate_exps", w.gate_experts.present()},
                          {"ffn_up_exps", w.up_experts.present()},
                          {"ffn_down_exps", w.down_experts.present()},
                          {"ffn_gate_shexp", !shared || w.shared_gate.present()},
                          {"ffn_up_shexp", !shared || w.shared_up.present()},
                          {"ffn_down_shexp", !shared || w.shared_down.present()}};
    return require_weights(platform, layer, needs);
  }
  const Need needs[] = {{"ffn_up", w.up.present()}, {"ffn_down", w.down.present()}};
  return require_weights(platform, layer, needs);
}

Result<void> check_attention(Platform& platform, const LayerWeights& w, const Hyperparameters& p,
                             u32 layer) {
  const Architecture& a = *p.architecture;
  bool before = a.place != NormPlace::kBehind;
  bool behind = a.place == NormPlace::kBehind || a.place == NormPlace::kBoth;
  bool fused = w.qkv.present();
  const Need needs[] = {
      {"attn_norm", !before || w.attention_norm.present()},
      {"ffn_norm", !before || a.place == NormPlace::kShared || w.ffn_norm.present()},
      {"post_attention_norm", !behind || w.post_attention_norm.present()},
      {"post_ffw_norm", !behind || w.post_ffn_norm.present()},
      {"attn_q", fused || w.q.present()},
      {"attn_k", fused || w.k.present()},
      {"attn_v", fused || w.v.present()},
      {"attn_output", w.attention_output.present()},
      {"attn_q_norm", !a.head_norms || w.q_norm.present()},
      {"attn_k_norm", !a.head_norms || w.k_norm.present()},
  };
  return require_weights(platform, layer, needs);
}

Result<ModelWeights> ModelWeights::load(const GgufFile& file,
                                        std::span<const std::span<Byte>> parts,
                                        const Hyperparameters& params, Platform& platform) {
  TRY(check_parts(file, parts));
  TRY(check_layout(file));
  ModelWeights weights;
  WeightLoader loader(file, params, weights);
  TRY(loader.load());
  for (u32 i = 0; i < params.layers; i++) {
    auto check = params.architecture->check;
    TRY(check != nullptr ? check(platform, weights.layers[i], params, i)
                         : check_layer(platform, weights.layers[i], params, i));
  }
  if (!is_grouped_file(file)) TRY(group_matrices(file, parts, platform));
  return weights;
}

}  // namespace ai
