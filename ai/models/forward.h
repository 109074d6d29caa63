// SPDX-License-Identifier: GPL-2.0-or-later
// The operations that the families share. A page in this folder reads like its paper because each
// of its lines is one of these operations over all rows of the batch.
//
// Every operation that is large enough runs on all workers; how it is split does not change the
// bits. Nothing here allocates. Everything is called on the engine's thread, inside
// Model::forward(), and may breathe.
#pragma once

#include "ai/attention/attend.h"
#include "ai/models/expert_store.h"
#include "ai/models/family.h"
#include "ai/models/model.h"
#include "ai/models/shares.h"

namespace ai {

// `count` vectors of floats, `stride` floats apart. Each begins at a multiple of 64 bytes.
struct Rows {
  float* data = nullptr;
  usize stride = 0;
  u32 count = 0;
  float* operator[](u32 row) const { return data + row * stride; }
  // Returns the same rows from column `first` on.
  Rows from(u32 first) const { return {data + first, stride, count}; }
};

// Computes out (+)= weight * in for every row of `in`. The product is then scaled, and a bias is
// added. A scale other than 1 does not go with `accumulate`.
struct Product {
  TensorView weight;
  std::span<const float> bias;
  const void* activations = nullptr;  // quantized as the weight's type requires
  usize activation_bytes = 0;         // per row
  Rows out;                           // its count is the number of rows in the batch
  bool accumulate = false;
  float scale = 1.0f;
};

// Byte offsets of a step's buffers in its one block of memory.
struct WorkspaceLayout {
  u32 rows = 0, context = 0, workers = 0;
  usize x = 0, branch = 0, normed = 0, qkv = 0, mixed = 0, hidden = 0, gated = 0, scratch = 0;
  usize turns = 0;                                      // cosine and sine of RoPE; two sets
  usize quantized[usize(ActivationType::kCount)] = {};  // one row for each row of the batch
  usize expert_in = 0, expert_hidden = 0, expert_gated = 0, expert_out = 0;  // one row per pair
  usize expert_quantized[usize(ActivationType::kCount)] = {};
  usize probabilities = 0, choices = 0, pairs = 0, products = 0, ones = 0;
  usize worker = 0, worker_bytes = 0;  // attention's buffers, one per worker
  usize shares = 0;                    // shares of a run of products, one per worker
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
  u16 runs = 0;  // counts runs of products, to tell old shares from new ones
};

// The RoPE frequency of each pair of a head (wiki/Numerics, rule 5: angles are computed in double,
// once per step).
struct RopeTable {
  Vector<double> frequencies;  // (dimensions / 2) radians per position
  double magnitude = 1;        // factor of cosine and sine
};
Result<RopeTable> make_rope_table(const RopeParams& rope, float base, bool scaled,
                                  std::span<const float> factors);

// The slope of each head for ALiBi, for scores that are not scaled yet.
Result<Vector<float>> make_slopes(const Hyperparameters& params);

// The part of a loaded model that is common to all steps. Only the store of experts changes, in one
// step at a time.
struct ModelParts {
  Hyperparameters params;
  ModelWeights weights;
  const KernelTable& kernels;
  Platform& platform;
  KvType kv_type;
  u32 context = 0;
  Vector<float> slopes;  // AttendQuery::slope of each head; empty: no ALiBi
  RopeTable rope[2];     // [1]: layers with a window, in families that rotate them differently
  base::Owner<StreamedWeights> streamed = {};  // null: all weights are in memory
};

// An expert that a token chose, and the weight of its output.
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

  // Buffers with one vector per row of the batch.
  Rows x;        // (width) the residual stream
  Rows branch;   // (width) a branch's output before it is added to x
  Rows normed;   // (width)
  Rows qkv;      // (query + key + value widths)
  Rows mixed;    // (heads * value width) attention's output
  Rows hidden;   // (2 * ffn width) gate and up
  Rows gated;    // (ffn width)
  Rows scratch;  // (params.scratch_width) for the family's own use

  // Sets x to the tokens' embeddings, scaled, plus those of the segment and of the position if the
  // model has them.
  void embed();
  void norm(const Norm& weights, Rows in, Rows out);
  void norm_vector(const Norm& weights, const float* in, float* out, u32 n);
  // Computes out (+)= weight * in + bias for each of `linears`, all in one parallel run.
  struct Output {
    const Linear& linear;
    Rows out;
    bool accumulate = false;
  };
  void multiply(Rows in, std::initializer_list<Output> outputs);
  // Adds a branch to the residual stream: x += in * residual_scale.
  void join(Rows in);

  // Projects `in` to queries, keys and values in `qkv`, with a norm per head if the family has one.
  void project_qkv(const LayerWeights& weights, Rows in);
  // Rotates q and k, stores k and v in the cache, and attends. `mixed` receives the output of all
  // heads.
  void attend(u32 layer);
  // The parts of attend(), for families that make their keys differently. `set` is the index of the
  // RopeTable. In each head the values to rotate begin at column `first`.
  void turn(Rows heads, u32 head_count, u32 head_width, u32 first, u32 set);
  void store(u32 layer, Rows keys, Rows values);
  void mix(u32 layer, Rows queries);
  // Adds attention_output * mixed to x, or writes it to `branch` if a norm follows.
  void project_attention(const LayerWeights& weights, Rows out, bool accumulate);

  // Computes the feed-forward net of `in`: dense or experts, depending on the layer.
  void feed_forward(u32 layer, Rows in, Rows out, bool accumulate);
  void dense(const LayerWeights& weights, Rows in, Rows out, bool accumulate);
  void dense(const Linear& gate, const Linear& up, const Linear& down, Rows in, Rows out,
             bool accumulate);
  // Computes the inner values of the net, n of them: gated = act(gate(in)) * up(in). Without a gate
  // they are act(up(in)).
  void gate_and_up(const Linear& gate, const Linear& up, Rows in, u32 n);
  void activate(Rows gate, Rows up, Rows out, u32 n);
  void experts(u32 layer, Rows in, Rows out, bool accumulate);
  // An expert could not be read, or the step was abandoned meanwhile: the layer's output is of no
  // use.
  const Result<void>& status() const { return status_; }

  // Returns true if a value of x is not finite.
  bool is_broken();

  // Runs body(row) for all rows, on all workers if there are several rows.
  template <class Body>
  void for_rows(u32 count, Body&& body) {
    if (count == 1) return body(0u);
    parallel_ranges(model_.platform, count, 1, [&](u32 first, u32 last, u32) {
      for (u32 row = first; row < last; row++) body(row);
    });
  }
  // `in` in the form that weights of `type` multiply with: n values per row, written to the area at
  // `where`.
  struct Activations {
    const void* data;
    usize bytes;  // per row
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
  // One head's part of the pages of a sequence.
  struct HeadPages {
    Byte* first;  // in page 0 of the pool
    usize page_bytes;
    std::span<const PageId> pages;
    // `page` counts from the text's beginning. A page behind the window must not be asked for.
    Byte* operator[](u32 page) const {
      ASSERT(pages[page] != kNoPage);
      return first + pages[page] * page_bytes;
    }
  };
  HeadPages head_pages(u32 layer, u32 kv_head, const KvView& view) const;
  void mix_range(u32 layer, Rows queries, u32 first, u32 last, u32 worker);
  struct AttendPart {
    u32 run, kv_head, from, to;
    u32 length;  // positions of the sequence, with this step's
  };
  void attend_some(u32 layer, Rows queries, AttendPart part, u32 worker);

  // The pairs (row, choice), sorted by expert.
  struct PairOrder {
    u32* begin;     // (experts + 1) where each expert's run begins
    u32* pair_at;   // (pairs) pair at each place of the order
    u32* place_of;  // (pairs) place of each pair
    u32* experts;   // (experts) all of them, in order
    u32 count;
  };
  // Experts whose matrices are in memory, to be computed together.
  using Wave = std::span<const u32>;
  using Matrix = ExpertStore::Matrix;
  // A stack of matrices, one for each expert.
  struct ExpertLinear {
    const Linear& linear;
    Matrix matrix;
  };
  void choose(const LayerWeights& weights, u32 row);
  void keep_best_groups(std::span<float> scores);
  PairOrder sort_pairs();
  Rows pair_rows(usize offset, usize width) const;
  Rows gather(Rows in, u32 n, const PairOrder& order);
  // Where the rows of pairs are, before and behind each product.
  struct PairBuffers {
    Rows in, gate, up, act, out;
  };
  void compute_wave(const LayerWeights& weights, const PairBuffers& at, const PairOrder& order,
                    Wave wave);
  void compute_arrivals(u32 layer, const PairBuffers& at, const PairOrder& order);
  Activations quantize_wave(Rows in, u32 n, ActivationType type, const PairOrder& order, Wave wave);
  TensorView weights_of(const ExpertLinear& weights, u32 expert) const;
  usize add_expert_products(const ExpertLinear& weights, Rows in, Rows out, const PairOrder& order,
                            Wave wave, Product* products);
  void sum_choices(Rows answer, const PairOrder& order);
  void add_shared_expert(const LayerWeights& weights, Rows in);
  void deliver(Rows in, Rows out, bool accumulate);

  const ModelParts& model_;
  StepWorkspace& workspace_;
  std::span<const BatchRow> rows_;
  std::span<const KvView> sequences_;
  Result<void> status_;
};

// Rounds up to whole cache lines, in floats.
constexpr usize row_stride(usize n) {
  return (n + 15) / 16 * 16;
}

// Return the width, in floats, of buffers that depend on the family.
usize qkv_width(const Hyperparameters& params);
usize mixed_width(const Hyperparameters& params);
usize dense_width(const Hyperparameters& params);
usize attend_lists_bytes(u32 context);  // per worker

}  // namespace ai
