// SPDX-License-Identifier: GPL-2.0-or-later
// The steps that families share. A page in this folder reads like its paper because each line of
// it is one of these verbs over all rows of the batch.
//
// Every verb that is worth it runs on all workers, split by a plan; the split leaves no trace in
// the bits. Nothing here allocates.
#pragma once

#include "ai/attention/attend.h"
#include "ai/models/family.h"
#include "ai/models/model.h"
#include "ai/models/shares.h"

namespace ai {

// `count` vectors of floats, `stride` apart; rows begin at multiples of 64 bytes.
struct Rows {
  float* data = nullptr;
  usize stride = 0;
  u32 count = 0;
  float* operator[](u32 row) const { return data + row * stride; }
  // The same rows from column `first` on.
  Rows from(u32 first) const { return {data + first, stride, count}; }
};

// out (+)= weight * in, for every row of `in`; bias is added after the product.
struct Product {
  TensorView weight;
  std::span<const float> bias;
  const void* activations = nullptr;  // as the weight's type wants them
  usize activation_bytes = 0;         // of one row
  Rows out;                           // its count is the batch
  bool accumulate = false;
};

// Where everything a step needs lies in its one block of memory: byte offsets.
struct WorkspaceLayout {
  u32 rows = 0, context = 0, workers = 0;
  usize x = 0, branch = 0, normed = 0, qkv = 0, mixed = 0, hidden = 0, gated = 0, scratch = 0;
  usize turns = 0;                                      // cosine and sine, two sets
  usize quantized[usize(ActivationType::kCount)] = {};  // a row of the batch each
  usize expert_in = 0, expert_hidden = 0, expert_gated = 0, expert_out = 0;  // a pair each
  usize expert_quantized[usize(ActivationType::kCount)] = {};
  usize probabilities = 0, choices = 0, pairs = 0, products = 0, ones = 0;
  usize worker = 0, worker_bytes = 0;  // attention's lists, one a worker
  usize shares = 0;                    // of the groups of a run of products, one a worker
  usize total = 0;
};
WorkspaceLayout plan_workspace(const Hyperparameters& params, u32 rows, u32 context, u32 workers);

struct StepWorkspace final : Workspace {
  StepWorkspace(Platform& owner, const WorkspaceLayout& plan) : platform(owner), layout(plan) {}
  ~StepWorkspace() override {
    if (!memory.empty()) platform.free_pages(memory);
  }
  Platform& platform;
  WorkspaceLayout layout;
  std::span<Byte> memory;
  u16 runs = 0;  // of products, for their shares
};

// How fast each pair of a head turns (wiki/Numerics, rule 5: angles in double, once a step).
struct RopeTable {
  Vector<double> frequencies;  // (dimensions / 2) radians a position
  double magnitude = 1;        // of cosine and sine
};
Result<RopeTable> make_rope_table(const RopeParams& rope, float base, bool scaled,
                                  std::span<const float> factors);

// What a step runs on: the immutable half.
struct ModelParts {
  Hyperparameters params;
  ModelWeights weights;
  const KernelTable& kernels;
  Platform& platform;
  KvType kv_type;
  u32 context = 0;
  RopeTable rope[2];  // [1]: layers with a window, where the family turns those otherwise
};

// A token's expert: its number and what its answer counts.
struct Choice {
  u32 expert;
  float weight;
};

class Step {
 public:
  Step(const ModelParts& model, StepWorkspace& workspace, std::span<const BatchRow> rows,
       std::span<const KvView> sequences);

  const Hyperparameters& params() const { return model_.params; }
  const LayerWeights& layer(u32 i) const { return model_.weights.layers[i]; }
  std::span<const BatchRow> batch() const { return rows_; }
  std::span<const KvView> sequences() const { return sequences_; }
  const ModelParts& model() const { return model_; }

  // Buffers, one vector a row of the batch.
  Rows x;        // (width) the residual stream
  Rows branch;   // (width) what a branch gives before it joins x
  Rows normed;   // (width)
  Rows qkv;      // (query + key + value widths)
  Rows mixed;    // (heads * value width) attention's answer
  Rows hidden;   // (2 * ffn width) gate and up
  Rows gated;    // (ffn width)
  Rows scratch;  // (params.scratch_width) the family's own

  // x = embedding of the tokens, scaled; plus that of the position where there is one.
  void embed();
  void norm(const Norm& weights, Rows in, Rows out);
  void norm_vector(const Norm& weights, const float* in, float* out, u32 n);
  // out (+)= weight * in + bias for each of `linears`, all in one parallel run.
  struct Output {
    const Linear& linear;
    Rows out;
    bool accumulate = false;
  };
  void multiply(Rows in, std::initializer_list<Output> outputs);
  // x += in * residual_scale
  void join(Rows in);

  // Queries, keys and values of `in` into `qkv`, normed per head where the family does so.
  void project_qkv(const LayerWeights& weights, Rows in);
  // Turns q and k, stores k and v, and attends: `mixed` is the answer of all heads.
  void attend(u32 layer);
  // The pieces of attend(), for families that make their keys another way. `set` names the
  // RopeTable; the turning values of each head begin at column `first`.
  void turn(Rows heads, u32 head_count, u32 head_width, u32 first, u32 set);
  void store(u32 layer, Rows keys, Rows values);
  void mix(u32 layer, Rows queries);
  // mixed * attention_output joins x (or goes to `branch`, for a norm behind it).
  void project_attention(const LayerWeights& weights, Rows out, bool accumulate);

  // The feed-forward net of `in`: dense or experts, as the layer has it.
  void feed_forward(u32 layer, Rows in, Rows out, bool accumulate);
  void dense(const LayerWeights& weights, Rows in, Rows out, bool accumulate);
  void dense(const Linear& gate, const Linear& up, const Linear& down, Rows in, Rows out,
             bool accumulate);
  void activate(Rows gate, Rows up, Rows out, u32 n);
  void experts(const LayerWeights& weights, Rows in, Rows out, bool accumulate);

  bool sees_window(u32 layer) const;
  // True when a value of x is not finite.
  bool is_broken();

  // Runs body(row) for all rows, on all workers when there are several rows.
  template <class Body>
  void for_rows(u32 count, Body&& body) {
    if (count == 1) return body(0u);
    parallel_ranges(model_.platform, count, 1, [&](u32 first, u32 last, u32) {
      for (u32 row = first; row < last; row++) body(row);
    });
  }
  // `in` as products with weights of `type` want it: n values a row into the area at `where`.
  struct Activations {
    const void* data;
    usize bytes;  // of a row
  };
  Activations quantize(Rows in, u32 n, ActivationType type, usize where);
  void run(std::span<const Product> products);

  const WorkspaceLayout& layout() const { return workspace_.layout; }
  void operation(const char* name) const { model_.platform.operation(name); }
  template <class T>
  T* at(usize offset) const {
    return reinterpret_cast<T*>(workspace_.memory.data() + offset);
  }

 private:
  Rows rows_at(usize offset, usize width) const;
  void compute_turns();
  void norm_heads(const Norm& weights, Rows heads, u32 head_count, u32 head_width);
  bool turns_in(u32 layer) const;
  Byte* head_page(u32 layer, u32 kv_head, const KvView& view, u32 page) const;
  void mix_range(u32 layer, Rows queries, u32 first, u32 last, u32 worker);
  struct AttendPart {
    u32 run, kv_head, from, to;
  };
  void attend_some(u32 layer, Rows queries, AttendPart part, u32 worker);

  // Experts: pairs (row, choice) in the order of their experts.
  struct PairOrder {
    u32* begin;     // (experts + 1) where each expert's run begins
    u32* pair_at;   // (pairs) by place in the order
    u32* place_of;  // (pairs) by pair
    u32 count;
  };
  void choose(const LayerWeights& weights, u32 row);
  void keep_best_groups(std::span<float> scores);
  PairOrder sort_pairs();
  Rows pair_rows(usize offset, usize width) const;
  Rows gather(Rows in, u32 n, const PairOrder& order);
  usize add_expert_products(const Linear& weights, Rows in, Rows out, const PairOrder& order,
                            Product* products);
  void sum_choices(Rows answer, const PairOrder& order);
  void add_shared_expert(const LayerWeights& weights, Rows in);
  void deliver(Rows in, Rows out, bool accumulate);

  const ModelParts& model_;
  StepWorkspace& workspace_;
  std::span<const BatchRow> rows_;
  std::span<const KvView> sequences_;
};

// Rounded to whole cache lines.
constexpr usize row_stride(usize n) {
  return (n + 15) / 16 * 16;
}

// Floats a row of the buffers whose width depends on the family.
usize qkv_width(const Hyperparameters& params);
usize mixed_width(const Hyperparameters& params);
usize dense_width(const Hyperparameters& params);
usize attend_lists_bytes(u32 context);  // of one worker

}  // namespace ai
