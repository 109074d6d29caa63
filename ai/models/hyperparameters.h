// SPDX-License-Identifier: GPL-2.0-or-later
// The numbers that shape a model, read from GGUF metadata and checked before anything uses them.
#pragma once

#include "ai/gguf/reader.h"

namespace ai {

struct Architecture;  // declared in ai/models/family.h

enum class RopeScaling : u8 { kNone, kLinear, kYarn, kLongRope };

struct RopeParams {
  u32 dimensions = 0;   // values of a head that RoPE rotates; the rest stays as it is
  u32 skip_period = 0;  // every skip_period-th layer has no RoPE; 0 = every layer has it
  float base = 10000.0f;
  float local_base = 10000.0f;  // RoPE base of layers with a window (gemma3)
  RopeScaling scaling = RopeScaling::kNone;
  float factor = 1.0f;
  u32 original_context = 0;
  bool plain_in_windows = false;  // layers with a window use unscaled RoPE
  bool plain_magnitude = false;   // the family scales its scores instead
  float attention_factor = 1.0f;  // factor of cosine and sine
  float yarn_ext_factor = 1.0f, yarn_attn_factor = 1.0f;
  float yarn_beta_fast = 32.0f, yarn_beta_slow = 1.0f;
  float yarn_log_multiplier = 0.0f;  // deepseek2
};

struct MoeParams {
  u32 experts = 0, experts_used = 0;
  u32 ffn_width = 0;         // per expert
  u32 shared_ffn_width = 0;  // of the experts that every token uses; 0 = none
  u32 leading_dense = 0;     // layers before the first one with experts
  float weights_scale = 1.0f;
  bool weights_norm = false;  // the weights of the picked experts are divided by their sum
  bool sigmoid = false;       // gate function; softmax otherwise
  u32 groups = 1, groups_used = 1;
};

struct MlaParams {  // multi-head latent attention; kv_rank 0 = not used
  u32 q_rank = 0, kv_rank = 0;
  u32 rope_width = 0, nope_width = 0, value_width = 0;  // per head
};

struct SsmParams {
  u32 conv_width = 0, inner_width = 0, state_width = 0, step_rank = 0;
  bool norms = false;  // norms on dt, B and C (falcon-mamba)
};

struct Hyperparameters {
  const Architecture* architecture = nullptr;
  std::string_view name;  // the file's general.architecture
  u32 layers = 0, width = 0, heads = 0, kv_heads = 0;
  u32 key_width = 0, value_width = 0;  // of one head in the KV cache
  u32 ffn_width = 0, vocabulary = 0, trained_context = 0;
  float norm_epsilon = 0.0f;
  u32 window = 0;         // positions that a layer with a window sees; 0 = no windows
  u32 window_period = 0;  // every window_period-th layer sees everything; 0 = none does
  bool sees_window(u32 layer) const {
    if (window == 0) return false;
    return window_period == 0 || layer % window_period != window_period - 1;
  }
  // Returns the number of layers with a window among the first `count`.
  u32 window_layers(u32 count) const {
    if (window == 0) return 0;
    return window_period == 0 ? count : count - count / window_period;
  }
  float attention_scale = 0.0f;
  float alibi = 0.0f;  // the largest slope is 2^(-alibi / heads); 0 = no ALiBi
  float attention_cap = 0.0f, logit_cap = 0.0f;  // cap * tanh(x / cap); 0 = off
  float embedding_scale = 1.0f, residual_scale = 1.0f, logit_scale = 1.0f;
  bool side_by_side = false;  // attention and feed-forward compute from the same x
  bool learned_positions = false;
  bool scaled_matrices = false;  // a matrix may have a factor of its own, a tensor named ".scale"
  bool bidirectional = false;    // an encoder: each position sees the whole text
  u32 scratch_width = 0;         // floats per row that the family needs beside the common buffers
  u32 state_floats = 0;          // per layer and sequence (recurrent families)
  RopeParams rope;
  MoeParams moe;
  MlaParams mla;
  SsmParams ssm;
};

// Reads the keys of one architecture: number("block_count") reads "llama.block_count".
class ParamReader {
 public:
  ParamReader(const GgufFile& file, std::string_view architecture)
      : file_(file), architecture_(architecture) {}
  bool has(std::string_view suffix) const;
  // Returns a number. An array counts as one if all its elements are equal.
  Result<u32> number(std::string_view suffix) const;
  Result<u32> number(std::string_view suffix, u32 fallback) const;
  Result<float> real(std::string_view suffix) const;  // refuses infinity and NaN
  Result<float> real(std::string_view suffix, float fallback) const;
  Result<bool> flag(std::string_view suffix, bool fallback) const;
  Result<std::string_view> text(std::string_view suffix, std::string_view fallback) const;
  // Logs the key with what was expected, and returns the error.
  std::unexpected<Error> refuse(std::string_view suffix, std::string_view expected) const;
  // Refuses the file if it has a key that changes what a model computes and that the family has not
  // read: the answers would be wrong.
  Result<void> nothing_overlooked() const;
  const GgufFile& file() const { return file_; }

 private:
  std::string_view key(std::string_view suffix) const;
  const GgufFile& file_;
  std::string_view architecture_;
  mutable char key_[160] = {};
  mutable u32 asked_ = 0;  // one bit for each row of the table in nothing_overlooked()
};

// Reads and checks all hyperparameters. Returns kUnsupported for an architecture that is not in the
// table (the log lists the known ones), and kCorrupt for numbers out of range.
Result<Hyperparameters> read_hyperparameters(const GgufFile& file);

}  // namespace ai
