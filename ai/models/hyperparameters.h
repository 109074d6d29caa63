// SPDX-License-Identifier: GPL-2.0-or-later
// The numbers that shape a model, read from GGUF metadata and checked before any use.
#pragma once

#include "ai/gguf/reader.h"

namespace ai {

struct Architecture;  // ai/models/family.h: a row of the table of families

enum class RopeScaling : u8 { kNone, kLinear, kYarn, kLongRope };

struct RopeParams {
  u32 dimensions = 0;  // of a head that turn; the rest stays
  float base = 10000.0f;
  float local_base = 10000.0f;  // gemma3: of the layers with a window
  RopeScaling scaling = RopeScaling::kNone;
  float factor = 1.0f;
  u32 original_context = 0;
  float attention_factor = 0.0f;  // of longrope; 0 = not given
  float yarn_ext_factor = 1.0f, yarn_attn_factor = 1.0f;
  float yarn_beta_fast = 32.0f, yarn_beta_slow = 1.0f;
  float yarn_log_multiplier = 0.0f;  // deepseek2
};

struct MoeParams {
  u32 experts = 0, experts_used = 0;
  u32 ffn_width = 0;         // of one expert
  u32 shared_ffn_width = 0;  // of the experts every token uses; 0 = none
  u32 leading_dense = 0;     // layers before the first with experts
  float weights_scale = 1.0f;
  bool weights_norm = false;  // selected probabilities are divided by their sum
  bool sigmoid = false;       // gate function; softmax otherwise
  u32 groups = 1, groups_used = 1;
};

struct MlaParams {  // multi-head latent attention; kv_rank 0 = none
  u32 q_rank = 0, kv_rank = 0;
  u32 rope_width = 0, nope_width = 0, value_width = 0;  // of a head
};

struct SsmParams {
  u32 conv_width = 0, inner_width = 0, state_width = 0, step_rank = 0;
  bool norms = false;  // on dt, B and C (falcon-mamba)
};

struct Hyperparameters {
  const Architecture* architecture = nullptr;
  std::string_view name;  // the file's general.architecture
  u32 layers = 0, width = 0, heads = 0, kv_heads = 0;
  u32 key_width = 0, value_width = 0;  // of one head in the KV cache
  u32 ffn_width = 0, vocabulary = 0, trained_context = 0;
  float norm_epsilon = 0.0f;
  u32 window = 0;         // positions a windowed layer sees; 0 = no windows
  u32 window_period = 0;  // of each `period` layers the last sees everything; 0 = none does
  float attention_scale = 0.0f;
  float attention_cap = 0.0f, logit_cap = 0.0f;  // cap * tanh(x / cap); 0 = off
  float embedding_scale = 1.0f, residual_scale = 1.0f, logit_scale = 1.0f;
  RopeParams rope;
  MoeParams moe;
  MlaParams mla;
  SsmParams ssm;
};

// kUnsupported for an architecture that is not in the table (the log lists those that are),
// kCorrupt for numbers that cannot be.
Result<Hyperparameters> read_hyperparameters(const GgufFile& file);

}  // namespace ai
