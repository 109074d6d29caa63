// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the steps' products, norms and feed-forward nets. Runs on the engine's thread and,
// inside products and loops over rows, on all workers.
#include "ai/models/forward.h"

#include <algorithm>
#include <atomic>

#include "ai/math/four.h"
#include "ai/math/lane_sum.h"
#include "ai/quant/groups.h"
#include "ai/quant/quant.h"

namespace ai {

Step::Step(const ModelParts& model, StepWorkspace& workspace, std::span<const BatchRow> rows,
           std::span<const KvView> sequences)
    : model_(model), workspace_(workspace), rows_(rows), sequences_(sequences) {
  const Hyperparameters& p = model.params;
  const WorkspaceLayout& at = workspace.layout;
  x = rows_at(at.x, p.width);
  branch = rows_at(at.branch, p.width);
  normed = rows_at(at.normed, p.width);
  qkv = rows_at(at.qkv, qkv_width(p));
  mixed = rows_at(at.mixed, mixed_width(p));
  hidden = rows_at(at.hidden, dense_width(p) * 2);
  gated = rows_at(at.gated, dense_width(p));
  scratch = rows_at(at.scratch, p.scratch_width);
  operation("rope angles");
  compute_turns();
}

Rows Step::rows_at(usize offset, usize width) const {
  return {at<float>(offset), row_stride(width), static_cast<u32>(rows_.size())};
}

void Step::embed() {
  operation("embedding");
  const ModelWeights& w = model_.weights;
  float scale = params().embedding_scale;
  for_rows(x.count, [&](u32 row) {
    float* out = x[row];
    dequantize_row(w.embedding.weight, rows_[row].token, out);
    if (scale != 1.0f)
      for (u32 i = 0; i < params().width; i++) out[i] = out[i] * scale;
    if (!w.segments.empty()) {
      usize at = usize{rows_[row].segment} * params().width;
      // A vocabulary with one kind of text has one row for both.
      const float* segment = w.segments.data() + (at < w.segments.size() ? at : 0);
      model_.kernels.add(out, segment, out, params().width);
    }
    if (!w.position_embedding.present()) return;
    float* position = branch[row];
    dequantize_row(w.position_embedding.weight, rows_[row].position, position);
    model_.kernels.add(out, position, out, params().width);
  });
  if (w.embedding_norm.present()) norm(w.embedding_norm, x, x);
}

// ---- norms ---------------------------------------------------------------------------------

namespace {

void layer_norm(const float* in, const Norm& norm, float epsilon, float* out, u32 n) {
  float count = static_cast<float>(n);
  float mean = lane_sum(n, [&](u32 i) { return in[i]; }) / count;
  float variance = lane_sum(n,
                            [&](u32 i) {
                              float d = in[i] - mean;
                              return d * d;
                            }) /
                   count;
  float scale = 1.0f / __builtin_sqrtf(variance + epsilon);
  for (u32 i = 0; i < n; i++) {
    float value = (in[i] - mean) * scale * norm.weight[i];
    out[i] = norm.bias.empty() ? value : value + norm.bias[i];
  }
}

}  // namespace

void Step::norm(const Norm& weights, Rows in, Rows out) {
  operation("norms");
  u32 n = static_cast<u32>(weights.weight.size());
  for_rows(in.count, [&](u32 row) { norm_vector(weights, in[row], out[row], n); });
}

void Step::norm_vector(const Norm& weights, const float* in, float* out, u32 n) {
  float epsilon = params().norm_epsilon;
  if (params().architecture->norm == NormKind::kLayer) {
    layer_norm(in, weights, epsilon, out, n);
  } else {
    model_.kernels.rms_norm(in, weights.weight.data(), epsilon, out, n);
  }
}

void Step::join(Rows in) {
  operation("residual sums");
  float scale = params().residual_scale;
  u32 n = params().width;
  for_rows(in.count, [&](u32 row) {
    if (scale != 1.0f)
      for (u32 i = 0; i < n; i++) in[row][i] = in[row][i] * scale;
    model_.kernels.add(x[row], in[row], x[row], n);
  });
}

bool Step::is_broken() {
  operation("check for NaN");
  std::atomic<bool> broken = false;
  for_rows(x.count, [&](u32 row) {
    if (!all_finite(x[row], params().width)) broken.store(true, std::memory_order_relaxed);
  });
  return broken.load(std::memory_order_relaxed);
}

// ---- products ------------------------------------------------------------------------------

Step::Activations Step::quantize(Rows in, u32 n, ActivationType type, usize where) {
  if (type == ActivationType::kF32) return {in.data, in.stride * sizeof(float)};
  usize bytes = activation_bytes(type, n);
  Byte* out = at<Byte>(where);
  auto convert = model_.kernels.quantize[static_cast<usize>(type)];
  for_rows(in.count, [&](u32 row) { convert(in[row], out + row * bytes, n); });
  return {out, bytes};
}

void Step::multiply(Rows in, std::initializer_list<Output> outputs) {
  Product products[8];
  Activations ready[usize(ActivationType::kCount)] = {};
  usize count = 0;
  for (const Output& output : outputs) {
    const TensorView& weight = output.linear.weight;
    ActivationType type = quant_info(weight.type).activation;
    Activations& a = ready[static_cast<usize>(type)];
    if (a.data == nullptr)
      a = quantize(in, weight.columns, type, layout().quantized[static_cast<usize>(type)]);
    Rows out = output.out;
    out.count = in.count;
    ASSERT(output.linear.scale == 1.0f || !output.accumulate);
    products[count++] = {
        weight, output.linear.bias, a.data, a.bytes, out, output.accumulate, output.linear.scale};
  }
  run({products, count});
}

namespace {

// Computes groups [from, to) of one product.
void run_groups(const KernelTable& kernels, const Product& p, u32 from, u32 to) {
  MatMul job{.groups = p.weight.data.data(),
             .group_bytes = kGroupRows * p.weight.row_bytes,
             .columns = p.weight.columns,
             .rows = p.weight.rows,
             .first_group = from,
             .last_group = to,
             .activations = p.activations,
             .activation_bytes = p.activation_bytes,
             .batch = p.out.count,
             .out = p.out.data,
             .out_stride = p.out.stride,
             .accumulate = p.accumulate,
             .prefetch = kernels.prefetch};
  kernels.mat_mul[static_cast<usize>(p.weight.type)](job);
  u32 last_row = std::min(to * kGroupRows, p.weight.rows);
  for (u32 b = 0; b < p.out.count && p.scale != 1.0f; b++)
    for (u32 row = from * kGroupRows; row < last_row; row++)
      p.out[b][row] = p.out[b][row] * p.scale;
  if (p.bias.empty()) return;
  for (u32 b = 0; b < p.out.count; b++)
    for (u32 row = from * kGroupRows; row < last_row; row++)
      p.out[b][row] = p.out[b][row] + p.bias[row];
}

u32 groups_of(const Product& p) {
  return (p.weight.rows + kGroupRows - 1) / kGroupRows;
}

// Returns the bytes that one group loads, times the rows of the batch that use them.
u64 group_work(const Product& p) {
  return kGroupRows * p.weight.row_bytes * (u64{1} + p.out.count);
}

// The smallest piece of work a worker takes: 2 us at 15 GB/s, a hundred times the cost of taking
// it.
constexpr u64 kPieceWork = 64 * kKiB;
// A run of products with more work than this (0.3 ms at that speed) breathes between its pieces.
// With a large batch, one matrix alone takes longer than a health check may wait.
constexpr u64 kLongWork = 4 * kMiB;
// The largest piece. With a batch of 128 that is one group of a small model, which takes an
// emulated CPU 10 ms.
constexpr u64 kMostWork = 2 * kMiB;

// One run of products on all workers. It does not steal if the group numbers do not fit a Share.
struct ProductRun {
  Platform& platform;
  const KernelTable& kernels;
  std::span<const Product> products;
  Share* shares;
  u32 workers;
  u16 number;
  u64 work = 0;
  u32 groups = 0;
  PieceLimits limits = {};

  // Returns the first group of a worker's share: the group in which its part of the work begins.
  u32 planned_first(u32 worker) const {
    u64 begin = work * worker / workers;
    u32 first = 0;
    for (const Product& p : products) {
      u64 unit = group_work(p), own = unit * groups_of(p);
      if (begin < own) return first + static_cast<u32>((begin + unit - 1) / unit);
      begin -= own;
      first += groups_of(p);
    }
    return groups;
  }

  GroupRange take(u32 owner, End end) const {
    GroupRange planned{planned_first(owner), planned_first(owner + 1)};
    return take_piece(shares[owner], number, planned, limits, end);
  }

  void multiply(GroupRange range) const {
    u32 begin = 0;
    for (const Product& p : products) {
      u32 end = begin + groups_of(p);
      u32 from = std::max(range.first, begin), to = std::min(range.last, end);
      if (from < to) run_groups(kernels, p, from - begin, to - begin);
      begin = end;
    }
  }

  void work_as(u32 worker) const {
    if (groups > kMostGroups) return multiply({planned_first(worker), planned_first(worker + 1)});
    for (u32 i = 0; i < workers; i++) {
      u32 owner = worker + i < workers ? worker + i : worker + i - workers;
      for (GroupRange piece = take(owner, i == 0 ? End::kHead : End::kTail); piece.count() > 0;
           piece = take(owner, i == 0 ? End::kHead : End::kTail)) {
        multiply(piece);
        if (worker == 0 && work > kLongWork) platform.breathe();
      }
    }
  }
};

}  // namespace

void Step::run(std::span<const Product> products) {
  ProductRun run{.platform = model_.platform,
                 .kernels = model_.kernels,
                 .products = products,
                 .shares = at<Share>(layout().shares),
                 .workers = layout().workers,
                 .number = ++workspace_.runs};
  u64 heaviest = 1;
  for (const Product& p : products) {
    run.work += group_work(p) * groups_of(p);
    run.groups += groups_of(p);
    heaviest = std::max(heaviest, group_work(p));
  }
  run.limits = {.least = static_cast<u32>(std::max<u64>(1, kPieceWork / heaviest)),
                .most = static_cast<u32>(std::max<u64>(1, kMostWork / heaviest))};
  model_.platform.run_on_workers(
      [](void* context, u32 worker) { static_cast<const ProductRun*>(context)->work_as(worker); },
      &run);
}

// ---- feed-forward --------------------------------------------------------------------------

namespace {

// A NaN is not below zero, so it stays one.
void relu_squared_mul(const float* gate, const float* up, float* out, u32 n) {
  for (u32 i = 0; i < n; i++) {
    float positive = gate[i] < 0 ? 0.0f : gate[i];
    out[i] = positive * positive * up[i];
  }
}

}  // namespace

void Step::activate(Rows gate, Rows up, Rows out, u32 n) {
  FfnKind kind = params().architecture->ffn;
  auto function = kind == FfnKind::kSiluGated ? model_.kernels.silu_mul : model_.kernels.gelu_mul;
  if (kind == FfnKind::kReluSquaredGated) function = relu_squared_mul;
  for_rows(gate.count, [&](u32 row) { function(gate[row], up[row], out[row], n); });
}

// Computes out (+)= down(act(gate(in)) * up(in)). Without a gate it is down(act(up(in))).
void Step::dense(const LayerWeights& w, Rows in, Rows out, bool accumulate) {
  dense(w.gate, w.up, w.down, in, out, accumulate);
}

void Step::dense(const Linear& gate, const Linear& up, const Linear& down, Rows in, Rows out,
                 bool accumulate) {
  gate_and_up(gate, up, in, down.weight.columns);
  operation("ffn down");
  multiply(gated, {{down, out, accumulate}});
}

void Step::gate_and_up(const Linear& gate, const Linear& up, Rows in, u32 n) {
  Rows upper = hidden.from(static_cast<u32>(row_stride(n)));
  operation("ffn gate and up");
  if (gate.present()) {
    multiply(in, {{gate, hidden}, {up, upper}});
  } else {
    multiply(in, {{up, hidden}});
    upper = up.weight.rows == n ? Rows{at<float>(layout().ones), 0, hidden.count} : hidden.from(n);
  }
  operation("ffn activation");
  activate(hidden, upper, gated, n);
}

void Step::feed_forward(u32 index, Rows in, Rows out, bool accumulate) {
  const LayerWeights& w = layer(index);
  if (w.router.present()) {
    operation("experts");
    return experts(index, in, out, accumulate);
  }
  dense(w, in, out, accumulate);
}

// ---- a layer of the usual kind ----------------------------------------------------------------

namespace {

// Computes both branches from the same input: x + attention(norm(x)) + ffn(norm(x)).
void side_by_side(Step& s, u32 index) {
  const LayerWeights& w = s.layer(index);
  // Models with two norms (gptneox, falcon 40B) have one for attention and one for the net.
  const Norm& own = w.attention_norm_2.present() ? w.attention_norm_2 : w.attention_norm;
  s.norm(own, s.x, s.branch);
  s.norm(w.ffn_norm.present() ? w.ffn_norm : w.attention_norm, s.x, s.normed);
  s.project_qkv(w, s.branch);
  s.attend(index);
  s.project_attention(w, s.x, true);
  s.feed_forward(index, s.normed, s.x, true);
}

}  // namespace

void decoder_layer(Step& s, u32 index) {
  const LayerWeights& w = s.layer(index);
  if (s.params().side_by_side) return side_by_side(s, index);
  NormPlace place = s.params().architecture->place;
  bool before = place != NormPlace::kBehind, behind = place != NormPlace::kBefore;
  bool direct = !behind && s.params().residual_scale == 1.0f;
  Rows out = direct ? s.x : s.branch;

  if (before) s.norm(w.attention_norm, s.x, s.normed);
  s.project_qkv(w, before ? s.normed : s.x);
  s.attend(index);
  s.project_attention(w, out, direct);
  if (behind) s.norm(w.post_attention_norm, s.branch, s.branch);
  if (!direct) s.join(s.branch);

  if (before) s.norm(w.ffn_norm, s.x, s.normed);
  s.feed_forward(index, before ? s.normed : s.x, out, direct);
  if (behind) s.norm(w.post_ffn_norm, s.branch, s.branch);
  if (!direct) s.join(s.branch);
}

}  // namespace ai
