// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and checks the numbers that every family has. Families read their own in
// Architecture::read.
#include "ai/models/hyperparameters.h"

#include <algorithm>

#include "ai/attention/attend.h"
#include "ai/models/family.h"
#include "ai/models/model.h"

namespace ai {
namespace {

// Limits far above every published model, and low enough that no product of two overflows 64 bits.
constexpr u32 kMostLayers = 1024, kMostHeads = 1024, kWidest = 1 << 18, kLargestFfn = 1 << 20;
constexpr u32 kLargestVocabulary = 1 << 22, kLongestContext = 1 << 24, kMostExperts = 1024;

bool finite(float x) {
  return x - x == 0;
}

Result<void> in_range(const ParamReader& r, std::string_view suffix, u32 value, u32 most) {
  if (value >= 1 && value <= most) return {};
  char text[48];
  return r.refuse(suffix, base::format_into(text, "1 to {}", most));
}

}  // namespace

// ---- keys ----------------------------------------------------------------------------------

namespace {

// Keys that tell a converter's reader that a model computes something different from its relatives.
// If the family's page does not read such a key, it must be absent or neutral.
constexpr std::string_view kTelling[] = {
    "attention.sliding_window",
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "attention.scale",
    "attention.output_scale",
    "attention.value_scale",
    "attention.temperature_scale",
    "attention.shared_kv_layers",
    "attention.indexer.top_k",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "router_logit_softcapping",
    "logit_scale",
    "residual_scale",
    "embedding_scale",
    "rope.dimension_sections",
    "rope.freq_base_swa",
    "interleave_moe_layer_step",
    "moe_every_n_layers",
    "expert_group_count",
    "swin_norm",
};
static_assert(std::size(kTelling) <= 32);

}  // namespace

std::string_view ParamReader::key(std::string_view suffix) const {
  for (usize i = 0; i < std::size(kTelling); i++)
    if (kTelling[i] == suffix) asked_ |= 1u << i;
  return base::format_into(key_, "{}.{}", architecture_, suffix);
}
bool ParamReader::has(std::string_view suffix) const {
  return file_.has(key(suffix));
}

std::unexpected<Error> ParamReader::refuse(std::string_view suffix,
                                           std::string_view expected) const {
  log(file_.platform(), LogLevel::kError, "model: key '{}' cannot be used, expected {}",
      key(suffix), expected);
  return fail(Errc::kCorrupt, "model: a hyperparameter is out of range");
}

Result<void> ParamReader::nothing_overlooked() const {
  for (usize i = 0; i < std::size(kTelling); i++) {
    if ((asked_ >> i & 1) != 0 || !has(kTelling[i])) continue;
    // An empty value, 1, or a factor of 1 means the same as an absent key.
    std::string_view name = key(kTelling[i]);
    GgufType type = TRY(file_.type_of(name));
    bool neutral = type == GgufType::kBool && !TRY(file_.get_bool(name));
    if (type == GgufType::kF32 || type == GgufType::kF64) {
      float value = TRY(file_.get_f32(name));
      neutral = value == 0 || value == 1;
    } else if (type < GgufType::kBool || type == GgufType::kU64 || type == GgufType::kI64) {
      i64 value = TRY(file_.get_i64(name));
      neutral = value == 0 || value == 1;
    }
    if (!neutral) return refuse(kTelling[i], "nothing: this architecture is computed without it");
  }
  return {};
}

Result<u32> ParamReader::number(std::string_view suffix) const {
  u64 value = 0;
  auto type = file_.type_of(key(suffix));
  if (type.has_value() && *type == GgufType::kArray) {
    GgufNumbers all = TRY(file_.get_numbers(key(suffix)));
    if (all.empty() || all.is_real()) return refuse(suffix, "a number");
    for (usize i = 0; i < all.size(); i++)
      if (all.integer(i) != all.integer(0)) return refuse(suffix, "the same for all layers");
    value = static_cast<u64>(all.integer(0));
  } else {
    value = TRY(file_.get_u64(key(suffix)));
  }
  if (value > 0x7fffffff) return refuse(suffix, "less than 2^31");
  return static_cast<u32>(value);
}
Result<u32> ParamReader::number(std::string_view suffix, u32 fallback) const {
  return has(suffix) ? number(suffix) : Result<u32>(fallback);
}
Result<float> ParamReader::real(std::string_view suffix) const {
  float value = TRY(file_.get_f32(key(suffix)));
  if (!finite(value)) return refuse(suffix, "a finite number");
  return value;
}
Result<float> ParamReader::real(std::string_view suffix, float fallback) const {
  return has(suffix) ? real(suffix) : Result<float>(fallback);
}
Result<bool> ParamReader::flag(std::string_view suffix, bool fallback) const {
  return file_.get_bool(key(suffix), fallback);
}
Result<std::string_view> ParamReader::text(std::string_view suffix,
                                           std::string_view fallback) const {
  return file_.get_string(key(suffix), fallback);
}

// ---- numbers -------------------------------------------------------------------------------

namespace {

// Reads layers, width, heads and what follows from them.
Result<void> read_shape(const ParamReader& r, Hyperparameters& p) {
  p.layers = TRY(r.number("block_count"));
  TRY(in_range(r, "block_count", p.layers, kMostLayers));
  p.width = TRY(r.number("embedding_length"));
  TRY(in_range(r, "embedding_length", p.width, kWidest));
  p.trained_context = TRY(r.number("context_length"));
  TRY(in_range(r, "context_length", p.trained_context, kLongestContext));
  p.heads = TRY(r.number("attention.head_count", 0));
  p.ffn_width = TRY(r.number("feed_forward_length", 0));
  if (p.ffn_width > kLargestFfn) return r.refuse("feed_forward_length", "at most 2^20");
  if (p.heads == 0) return {};  // a family without attention; its page checks the rest
  TRY(in_range(r, "attention.head_count", p.heads, kMostHeads));
  p.kv_heads = TRY(r.number("attention.head_count_kv", p.heads));
  if (p.kv_heads == 0 || p.kv_heads > p.heads || p.heads % p.kv_heads != 0)
    return r.refuse("attention.head_count_kv", "a divisor of attention.head_count");
  if (p.width % p.heads != 0 && !r.has("attention.key_length"))
    return r.refuse("attention.head_count", "a divisor of embedding_length");
  p.key_width = TRY(r.number("attention.key_length", p.width / p.heads));
  p.value_width = TRY(r.number("attention.value_length", p.width / p.heads));
  TRY(in_range(r, "attention.key_length", p.key_width, kMaxHeadWidth));
  return in_range(r, "attention.value_length", p.value_width, kMaxHeadWidth);
}

Result<void> read_epsilon(const ParamReader& r, Hyperparameters& p) {
  const char* key = p.architecture->norm == NormKind::kRms ? "attention.layer_norm_rms_epsilon"
                                                           : "attention.layer_norm_epsilon";
  p.norm_epsilon = TRY(r.real(key));
  if (p.norm_epsilon < 0 || p.norm_epsilon > 1) return r.refuse(key, "0 to 1");
  return {};
}

Result<void> read_rope(const ParamReader& r, Hyperparameters& p) {
  RopeParams& rope = p.rope;
  if (p.heads == 0 || p.architecture->rope == RopeKind::kNone) return {};
  rope.dimensions = TRY(r.number("rope.dimension_count", p.key_width));
  if (rope.dimensions == 0 || rope.dimensions > p.key_width || rope.dimensions % 2 != 0)
    return r.refuse("rope.dimension_count", "an even number up to the width of a head");
  rope.base = TRY(r.real("rope.freq_base", 10000.0f));
  if (rope.base <= 0) return r.refuse("rope.freq_base", "a positive number");
  rope.local_base = rope.base;
  std::string_view scaling = TRY(r.text("rope.scaling.type", "none"));
  float linear = TRY(r.real("rope.scale_linear", 1.0f));
  rope.factor = TRY(r.real("rope.scaling.factor", linear));
  if (r.has("rope.scale_linear") && scaling == "none") scaling = "linear";
  if (rope.factor <= 0) rope.factor = 1.0f;
  rope.original_context = TRY(r.number("rope.scaling.original_context_length", p.trained_context));
  TRY(in_range(r, "rope.scaling.original_context_length", rope.original_context, kLongestContext));
  rope.attention_factor = TRY(r.real("rope.scaling.attn_factor", 1.0f));
  constexpr struct {
    std::string_view name;
    RopeScaling scaling;
  } kNames[] = {{"none", RopeScaling::kNone},
                {"linear", RopeScaling::kLinear},
                {"yarn", RopeScaling::kYarn},
                {"longrope", RopeScaling::kLongRope},
                {"su", RopeScaling::kLongRope}};
  for (const auto& row : kNames)
    if (row.name == scaling) {
      rope.scaling = row.scaling;
      return {};
    }
  return r.refuse("rope.scaling.type", "none, linear, yarn or longrope");
}

Result<void> read_yarn(const ParamReader& r, RopeParams& rope) {
  if (rope.scaling != RopeScaling::kYarn) return {};
  rope.yarn_ext_factor = TRY(r.real("rope.scaling.yarn_ext_factor", 1.0f));
  rope.yarn_attn_factor = TRY(r.real("rope.scaling.yarn_attn_factor", 1.0f));
  rope.yarn_beta_fast = TRY(r.real("rope.scaling.yarn_beta_fast", 32.0f));
  rope.yarn_beta_slow = TRY(r.real("rope.scaling.yarn_beta_slow", 1.0f));
  rope.yarn_log_multiplier = TRY(r.real("rope.scaling.yarn_log_multiplier", 0.0f));
  if (rope.yarn_beta_fast <= 0 || rope.yarn_beta_slow <= 0 || rope.base == 1.0f)
    return r.refuse("rope.scaling.yarn_beta_fast", "positive betas and a base other than 1");
  return {};
}

Result<void> read_experts(const ParamReader& r, Hyperparameters& p) {
  MoeParams& moe = p.moe;
  moe.experts = TRY(r.number("expert_count", 0));
  if (moe.experts == 0) return {};
  TRY(in_range(r, "expert_count", moe.experts, kMostExperts));
  moe.experts_used = TRY(r.number("expert_used_count"));
  if (moe.experts_used == 0 || moe.experts_used > moe.experts)
    return r.refuse("expert_used_count", "1 to expert_count");
  moe.ffn_width = TRY(r.number("expert_feed_forward_length", p.ffn_width));
  TRY(in_range(r, "expert_feed_forward_length", moe.ffn_width, kLargestFfn));
  moe.shared_ffn_width = TRY(r.number("expert_shared_feed_forward_length", 0));
  if (moe.shared_ffn_width > kLargestFfn)
    return r.refuse("expert_shared_feed_forward_length", "at most 2^20");
  return {};
}

Result<void> read_vocabulary(const GgufFile& file, Hyperparameters& p) {
  const GgufTensor* embedding = TRY(file.tensor("token_embd.weight"));
  p.vocabulary = embedding->view.rows;
  if (p.vocabulary > kLargestVocabulary)
    return fail(Errc::kCorrupt, "model: token_embd.weight has too many rows");
  if (!file.has("tokenizer.ggml.tokens")) return {};
  usize tokens = TRY(file.get_strings("tokenizer.ggml.tokens")).size();
  if (tokens == p.vocabulary) return {};
  log(file.platform(), LogLevel::kError,
      "model: token_embd.weight has {} rows, tokenizer.ggml.tokens {} entries", p.vocabulary,
      tokens);
  return fail(Errc::kCorrupt, "model: vocabulary and embedding differ in size");
}

}  // namespace

Result<Hyperparameters> read_hyperparameters(const GgufFile& file) {
  Hyperparameters p;
  p.name = TRY(file.get_string("general.architecture"));
  p.architecture = find_architecture(p.name);
  if (p.architecture == nullptr) {
    log(file.platform(), LogLevel::kError, "model: unknown architecture '{}'",
        p.name.substr(0, 40));
    for (auto family : families()) {
      char known[256];
      base::BufferWriter writer(known);
      for (const Architecture& row : family)
        base::format_to(writer, "{}{}", &row == family.data() ? "" : ", ", row.name);
      log(file.platform(), LogLevel::kError, "model: known are {}", writer.view());
    }
    return fail(Errc::kUnsupported, "model: unknown architecture");
  }
  ParamReader reader(file, p.name);
  TRY(read_shape(reader, p));
  TRY(read_epsilon(reader, p));
  TRY(read_rope(reader, p));
  TRY(read_yarn(reader, p.rope));
  TRY(read_experts(reader, p));
  TRY(read_vocabulary(file, p));
  if (p.key_width > 0) p.attention_scale = 1.0f / __builtin_sqrtf(static_cast<float>(p.key_width));
  p.side_by_side = p.architecture->place == NormPlace::kShared;
  p.learned_positions = file.find_tensor("position_embd.weight") != nullptr;
  if (p.architecture->read != nullptr) TRY(p.architecture->read(reader, p));
  if (TRY(reader.flag("attention.causal", !p.bidirectional)) == p.bidirectional)
    return reader.refuse("attention.causal", p.bidirectional
                                                 ? "false: this is an encoder"
                                                 : "true: this architecture reads forwards only");
  TRY(reader.nothing_overlooked());
  if (p.ffn_width == 0 && p.moe.experts == 0 && p.ssm.inner_width == 0)
    return reader.refuse("feed_forward_length", "at least 1");
  return p;
}

}  // namespace ai
