// SPDX-License-Identifier: GPL-2.0-or-later
// Loads a model and runs one step of it.
#include "ai/models/model.h"

#include <algorithm>
#include <atomic>

#include "ai/math/four.h"
#include "ai/math/lane_sum.h"
#include "ai/math/real.h"
#include "ai/models/forward.h"
#include "ai/quant/quant.h"

namespace ai {
namespace {

// Places buffers in one block: returns offsets, each at a multiple of 64.
class Placer {
 public:
  usize take(usize bytes) {
    usize at = total_;
    total_ += base::round_up(bytes, 64);
    return at;
  }
  usize rows(usize count, usize width) { return take(count * row_stride(width) * sizeof(float)); }
  usize total() const { return total_; }

 private:
  usize total_ = 0;
};

// Places the quantized form of `count` vectors of up to n values. n is rounded up to whole blocks.
void take_quantized(Placer& place, usize count, usize n,
                    usize (&out)[usize(ActivationType::kCount)]) {
  for (usize t = 0; t < usize(ActivationType::kCount); t++) {
    auto type = static_cast<ActivationType>(t);
    usize block = activation_block(type);
    bool copied = type != ActivationType::kF32;  // float rows are used where they are
    out[t] =
        place.take(copied ? count * activation_bytes(type, (n + block - 1) / block * block) : 0);
  }
}

void plan_experts(Placer& place, const Hyperparameters& p, usize rows, WorkspaceLayout& at) {
  const MoeParams& moe = p.moe;
  if (moe.experts == 0) return;
  usize pairs = rows * moe.experts_used;
  at.probabilities = place.rows(rows, moe.experts * usize{2});
  at.choices = place.take(pairs * sizeof(Choice));
  at.pairs = place.take((2 * moe.experts + 1 + 2 * pairs) * sizeof(u32));
  at.expert_in = place.rows(pairs, p.width);
  at.expert_hidden = place.rows(pairs, row_stride(moe.ffn_width) * 2);
  at.expert_gated = place.rows(pairs, moe.ffn_width);
  at.expert_out = place.rows(pairs, p.width);
  take_quantized(place, pairs, std::max(p.width, moe.ffn_width), at.expert_quantized);
}

}  // namespace

usize dense_width(const Hyperparameters& p) {
  return row_stride(std::max(p.ffn_width, p.moe.shared_ffn_width));
}

WorkspaceLayout plan_workspace(const Hyperparameters& p, u32 rows, u32 context, u32 workers) {
  Placer place;
  WorkspaceLayout at;
  at.rows = rows;
  at.context = context;
  at.workers = workers;
  usize dense = dense_width(p), mixed = mixed_width(p);
  at.x = place.rows(rows, p.width);
  at.branch = place.rows(rows, p.width);
  at.normed = place.rows(rows, p.width);
  at.qkv = place.rows(rows, qkv_width(p));
  at.mixed = place.rows(rows, mixed);
  at.hidden = place.rows(rows, dense * 2);
  at.gated = place.rows(rows, dense);
  at.scratch = place.rows(rows, p.scratch_width);
  at.turns = place.take(usize{rows} * p.rope.dimensions * 2 * sizeof(float));
  take_quantized(place, rows, std::max({usize{p.width}, mixed, dense, usize{p.scratch_width}}),
                 at.quantized);
  plan_experts(place, p, rows, at);
  usize experts = std::min<usize>(usize{rows} * p.moe.experts_used, p.moe.experts);
  at.products = place.take(std::max<usize>(2 * experts, p.heads) * sizeof(Product));
  at.ones = place.rows(1, dense);
  at.worker_bytes = attend_lists_bytes(context);
  at.worker = place.take(at.worker_bytes * workers);
  at.shares = place.take(sizeof(Share) * workers);
  at.total = place.total();
  return at;
}

u32 kv_page_positions() {
  return kPagePositions;
}

KvPageBytes kv_page_bytes(const Hyperparameters& p, KvType type) {
  if (p.kv_heads == 0) return {};
  usize layer = kv_page_bytes(type, p.key_width, p.value_width) * p.kv_heads;
  u32 windows = p.window_layers(p.layers);
  return {.whole = layer * (p.layers - windows), .window = layer * windows};
}

usize state_bytes(const Hyperparameters& p) {
  return usize{p.state_floats} * p.layers * sizeof(float);
}

usize workspace_bytes(const Hyperparameters& p, const StepLimits& limits, u32 context,
                      u32 workers) {
  return plan_workspace(p, limits.rows, context, workers).total;
}

namespace {

Result<void> make_rope_tables(ModelParts& m) {
  const RopeParams& rope = m.params.rope;
  if (rope.dimensions == 0) return {};
  std::span<const float> factors = m.weights.rope_factors;
  if (!m.weights.rope_factors_long.empty() && !m.weights.rope_factors_short.empty())
    factors = m.context > rope.original_context ? m.weights.rope_factors_long
                                                : m.weights.rope_factors_short;
  m.rope[0] = TRY(make_rope_table(rope, rope.base, true, factors));
  bool apart =
      rope.local_base != rope.base || (rope.plain_in_windows && rope.scaling != RopeScaling::kNone);
  if (m.params.window > 0 && apart)
    m.rope[1] = TRY(make_rope_table(rope, rope.local_base, false, {}));
  return {};
}

// Applies scale and soft cap. Returns false if a logit is not finite.
bool finish_logits(std::span<float> logits, const Hyperparameters& p) {
  if (p.logit_scale == 1 && p.logit_cap <= 0) return all_finite(logits.data(), logits.size());
  bool finite = true;
  for (float& x : logits) {
    x = x * p.logit_scale;
    if (p.logit_cap > 0)
      x = p.logit_cap * static_cast<float>(real::tanh(static_cast<double>(x / p.logit_cap)));
    finite &= x - x == 0;
  }
  return finite;
}

class LoadedModel final : public Model {
 public:
  explicit LoadedModel(ModelParts parts) : m_(std::move(parts)) {}

  const Hyperparameters& params() const override { return m_.params; }
  u32 kv_page_positions() const override { return kPagePositions; }
  KvPageBytes kv_page_bytes() const override { return ai::kv_page_bytes(m_.params, m_.kv_type); }
  usize state_bytes() const override { return ai::state_bytes(m_.params); }
  usize workspace_bytes(const StepLimits& limits) const override {
    return ai::workspace_bytes(m_.params, limits, m_.context, m_.platform.worker_count());
  }
  Result<base::Owner<Workspace>> create_workspace(const StepLimits& limits) const override;
  Result<void> forward(std::span<const BatchRow> rows, std::span<const KvView> sequences,
                       Workspace& workspace, std::span<float> logits) override;
  Result<void> forward_hidden(std::span<const BatchRow> rows, std::span<const KvView> sequences,
                              Workspace& workspace, std::span<float> hidden) override;
  Result<float> score(std::span<const float> hidden) const override;

 private:
  // `room` is the size of the caller's result buffer, `width` the floats that each wanted row
  // needs.
  Result<void> check_batch(std::span<const BatchRow> rows, std::span<const KvView> sequences,
                           const StepWorkspace& workspace, usize room, usize width) const;
  Result<void> run_layers(Step& step, const Workspace& workspace);
  Rows norm_wanted(Step& step);
  Result<void> write_logits(Step& step, std::span<float> logits);

  ModelParts m_;
};

Result<base::Owner<Workspace>> LoadedModel::create_workspace(const StepLimits& limits) const {
  if (limits.rows == 0) return fail(Errc::kInvalidArgument, "model: a step needs at least one row");
  WorkspaceLayout layout =
      plan_workspace(m_.params, limits.rows, m_.context, m_.platform.worker_count());
  auto workspace = TRY(base::make<StepWorkspace>(m_.platform, layout));
  workspace->memory = TRY(m_.platform.allocate_pages(layout.total, "workspace"));
  auto* ones = reinterpret_cast<float*>(workspace->memory.data() + layout.ones);
  std::fill(ones, ones + dense_width(m_.params), 1.0f);
  return base::Owner<Workspace>(workspace.release());
}

Result<void> LoadedModel::check_batch(std::span<const BatchRow> rows,
                                      std::span<const KvView> sequences,
                                      const StepWorkspace& workspace, usize room,
                                      usize width) const {
  if (rows.empty() || rows.size() > workspace.layout.rows)
    return fail(Errc::kInvalidArgument, "model: more rows than the workspace was made for");
  KvPageBytes bytes = kv_page_bytes();
  usize wanted = 0;
  for (const BatchRow& row : rows) {
    if (row.token >= m_.params.vocabulary)
      return fail(Errc::kOutOfRange, "model: a token id outside the vocabulary");
    if (row.sequence >= sequences.size() || row.position >= m_.context)
      return fail(Errc::kOutOfRange, "model: a row outside its sequence");
    const KvView& view = sequences[row.sequence];
    if ((bytes.whole > 0 && row.position / kPagePositions >= view.whole.pages.size()) ||
        (bytes.window > 0 && row.position / kPagePositions >= view.window.pages.size()))
      return fail(Errc::kOutOfRange, "model: a row without a page");
    if (view.state.size() < state_bytes())
      return fail(Errc::kInvalidArgument, "model: a sequence without its state");
    wanted += row.wants_logits ? 1 : 0;
  }
  if (room < wanted * width) return fail(Errc::kInvalidArgument, "model: no room for the results");
  return {};
}

Result<void> LoadedModel::forward(std::span<const BatchRow> rows, std::span<const KvView> sequences,
                                  Workspace& workspace, std::span<float> logits) {
  auto& own = static_cast<StepWorkspace&>(workspace);
  TRY(check_batch(rows, sequences, own, logits.size(), m_.params.vocabulary));
  Step step(m_, own, rows, sequences);
  TRY(run_layers(step, workspace));
  return write_logits(step, logits);
}

Result<void> LoadedModel::forward_hidden(std::span<const BatchRow> rows,
                                         std::span<const KvView> sequences, Workspace& workspace,
                                         std::span<float> hidden) {
  auto& own = static_cast<StepWorkspace&>(workspace);
  TRY(check_batch(rows, sequences, own, hidden.size(), m_.params.width));
  Step step(m_, own, rows, sequences);
  TRY(run_layers(step, workspace));
  Rows chosen = norm_wanted(step);
  for (u32 row = 0; row < chosen.count; row++)
    for (u32 i = 0; i < m_.params.width; i++) {
      float value = chosen[row][i];
      if (value - value != 0)
        return fail(Errc::kCorrupt, "model: a number behind the final norm is not finite");
      hidden[usize{row} * m_.params.width + i] = value;
    }
  return {};
}

// Takes some microseconds for each row, so it needs neither workers nor a place in the workspace.
Result<float> LoadedModel::score(std::span<const float> hidden) const {
  const Linear &head = m_.weights.head, &output = m_.weights.head_output;
  u32 width = m_.params.width;
  if (!output.present())
    return fail(Errc::kUnsupported, "this model has no head for scores (cls.output.weight)");
  Vector<float> row, inner;
  TRY(row.resize(width));
  TRY(inner.append(hidden));
  auto product = [&](const Linear& linear, u32 i, std::span<const float> in) {
    dequantize_row(linear.weight, i, row.data());
    float sum = lane_sum(width, [&](u32 c) { return row[c] * in[c]; });
    return linear.bias.empty() ? sum : sum + linear.bias[i];
  };
  for (u32 i = 0; head.present() && i < width; i++)
    inner[i] = static_cast<float>(real::tanh(static_cast<double>(product(head, i, hidden))));
  float score = product(output, 0, inner.view());
  if (score - score != 0) return fail(Errc::kCorrupt, "model: a score is not finite");
  return score;
}

Result<void> LoadedModel::run_layers(Step& step, const Workspace& workspace) {
  if (m_.streamed != nullptr)
    m_.streamed->store().begin_step(static_cast<u32>(step.batch().size()));
  step.embed();
  for (u32 layer = 0; layer < m_.params.layers; layer++) {
    m_.params.architecture->layer(step, layer);
    if (!step.status().has_value()) return step.status();
    if (step.is_broken()) {
      log(m_.platform, LogLevel::kError, "model: layer {} gave a number that is not finite", layer);
      return fail(Errc::kCorrupt, "model: a layer gave a number that is not finite");
    }
    step.operation("other threads");
    m_.platform.breathe();
    if (workspace.abandoned)
      return fail(Errc::kCancelled,
                  "model: the step was abandoned, because every request of it ended");
  }
  return {};
}

// Applies the final norm, if there is one, to the rows that want a result, and moves them together.
Rows LoadedModel::norm_wanted(Step& step) {
  step.operation("output matrix");
  Rows chosen = step.normed;
  chosen.count = 0;
  for (u32 row = 0; row < step.batch().size(); row++) {
    if (!step.batch()[row].wants_logits) continue;
    float* out = chosen[chosen.count++];
    if (m_.weights.output_norm.present())
      step.norm_vector(m_.weights.output_norm, step.x[row], out, m_.params.width);
    else
      std::copy_n(step.x[row], m_.params.width, out);
  }
  return chosen;
}

Result<void> LoadedModel::write_logits(Step& step, std::span<float> logits) {
  const Hyperparameters& p = m_.params;
  Rows chosen = norm_wanted(step);
  if (chosen.count == 0) return {};
  Rows out{logits.data(), p.vocabulary, chosen.count};
  step.multiply(chosen, {{m_.weights.output, out}});
  std::atomic<bool> broken = false;
  parallel_ranges(m_.platform, chosen.count * p.vocabulary, 4096, [&](u32 first, u32 last, u32) {
    if (!finish_logits(logits.subspan(first, last - first), p)) broken = true;
  });
  if (!broken) return {};
  log(m_.platform, LogLevel::kError, "model: a logit behind the last layer is not finite");
  return fail(Errc::kCorrupt, "model: a logit is not finite");
}

}  // namespace

namespace {

Result<base::Owner<LoadedModel>> load_model(const GgufFile& file,
                                            std::span<const std::span<Byte>> parts,
                                            const ModelOptions& options, Platform& platform,
                                            base::Owner<StreamedWeights> streamed) {
  Hyperparameters params = TRY(read_hyperparameters(file));
  u32 context = options.context == 0 ? params.trained_context : options.context;
  ModelParts m{.params = params,
               .weights = {},
               .kernels = *options.kernels,
               .platform = platform,
               .kv_type = options.kv_type,
               .context = context,
               .slopes = TRY(make_slopes(params)),
               .rope = {}};
  m.weights = TRY(ModelWeights::load(file, parts, params, platform));
  if (m.weights.position_embedding.present() && context > params.trained_context)
    return fail(Errc::kInvalidArgument, "model: the context is longer than its position table");
  TRY(make_rope_tables(m));
  m.streamed = std::move(streamed);
  return base::make<LoadedModel>(std::move(m));
}

}  // namespace

Result<base::Owner<Model>> Model::load(const GgufFile& file, std::span<const std::span<Byte>> parts,
                                       const ModelOptions& options, Platform& platform) {
  return base::Owner<Model>(TRY(load_model(file, parts, options, platform, nullptr)).release());
}

Result<base::Owner<Model>> Model::load_streamed(const GgufFile& file,
                                                base::Owner<StreamedWeights> weights, u32 slots,
                                                const ModelOptions& options, Platform& platform) {
  const std::span<Byte> resident = weights->resident();
  StreamedWeights& kept = *weights;  // by the model, from the next line on
  auto model = TRY(load_model(file, {&resident, 1}, options, platform, std::move(weights)));
  TRY(kept.create_store(file, model->params(), slots));
  return base::Owner<Model>(model.release());
}

}  // namespace ai
