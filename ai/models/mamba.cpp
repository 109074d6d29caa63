// SPDX-License-Identifier: GPL-2.0-or-later
// Mamba (arXiv 2312.00752): has no attention, but a state of fixed size that every token changes.
//
//   (u, z) = in(norm(x))                               u, z (inner)
//   u = silu(convolution over the last conv_width u of each channel)
//   (d, B, C) = x_proj(u)                              d (step_rank); B, C (state)
//   t = softplus(dt(d))                                t (inner)
//   h = h * exp(t A) + t B u                           h (inner, state), A < 0
//   x += out((h C + D u) * silu(z))
#include <cstring>

#include "ai/math/exp.h"
#include "ai/math/lane_sum.h"
#include "ai/math/real.h"
#include "ai/models/family.h"
#include "ai/models/forward.h"

namespace ai {
namespace {

// Offsets of the columns in `scratch`; each begins at a whole cache line.
struct Columns {
  u32 both, u, projected, step, y, total;
};
Columns columns_of(const SsmParams& m) {
  u32 inner = static_cast<u32>(row_stride(m.inner_width));
  u32 projected = static_cast<u32>(row_stride(m.step_rank + 2 * m.state_width));
  return {
      0, 2 * inner, 3 * inner, 3 * inner + projected, 4 * inner + projected, 5 * inner + projected};
}

Result<void> read_mamba(const ParamReader& r, Hyperparameters& p) {
  constexpr u32 kWidest = 1 << 18;
  SsmParams& m = p.ssm;
  m.conv_width = TRY(r.number("ssm.conv_kernel"));
  m.inner_width = TRY(r.number("ssm.inner_size"));
  m.state_width = TRY(r.number("ssm.state_size"));
  m.step_rank = TRY(r.number("ssm.time_step_rank"));
  if (m.conv_width < 2 || m.conv_width > 16) return r.refuse("ssm.conv_kernel", "2 to 16");
  if (m.inner_width == 0 || m.inner_width > kWidest) return r.refuse("ssm.inner_size", "1 to 2^18");
  if (m.state_width == 0 || m.state_width > 1024) return r.refuse("ssm.state_size", "1 to 1024");
  if (m.step_rank == 0 || m.step_rank > kWidest) return r.refuse("ssm.time_step_rank", "1 to 2^18");
  if (p.heads != 0) return r.refuse("attention.head_count", "0");
  bool norms = TRY(r.flag("ssm.dt_b_c_rms", false));
  if (norms) return r.refuse("ssm.dt_b_c_rms", "false: falcon-mamba is not supported");
  p.scratch_width = columns_of(m).total;
  p.state_floats = m.inner_width * (m.conv_width - 1 + m.state_width);
  return {};
}

Result<void> check(Platform& platform, const LayerWeights& w, const Hyperparameters&, u32 layer) {
  const Need needs[] = {{"attn_norm", w.attention_norm.present()},
                        {"ssm_in", w.ssm_in.present()},
                        {"ssm_conv1d", !w.ssm_conv.empty() && !w.ssm_conv_bias.empty()},
                        {"ssm_x", w.ssm_x.present()},
                        {"ssm_dt", w.ssm_dt.present() && !w.ssm_dt.bias.empty()},
                        {"ssm_a", !w.ssm_a.empty()},
                        {"ssm_d", !w.ssm_d.empty()},
                        {"ssm_out", w.ssm_output.present()}};
  return require_weights(platform, layer, needs);
}

float silu(float x) {
  return x / (1.0f + exp(-x));
}

float softplus(float x) {
  if (x > 20.0f) return x;
  return static_cast<float>(real::log(1.0 + real::exp(static_cast<double>(x))));
}

// Returns what a sequence keeps for this layer: (inner, conv_width - 1) inputs, then (inner,
// state).
float* state_of(Step& s, u32 layer, u32 row) {
  const KvView& view = s.sequences()[s.batch()[row].sequence];
  return reinterpret_cast<float*>(view.state.data()) + usize{layer} * s.params().state_floats;
}

// Computes u = silu(convolution) for channels [first, last) of all rows, in order, and updates the
// history.
void convolve(Step& s, const LayerWeights& w, u32 layer, u32 first, u32 last) {
  const SsmParams& m = s.params().ssm;
  Columns c = columns_of(m);
  u32 kept = m.conv_width - 1;
  for (u32 row = 0; row < s.x.count; row++) {
    const float* in = s.scratch[row] + c.both;
    float* out = s.scratch[row] + c.u;
    float* history = state_of(s, layer, row);
    for (u32 i = first; i < last; i++) {
      float* past = history + usize{i} * kept;
      if (s.batch()[row].position == 0) std::memset(past, 0, kept * sizeof(float));
      const float* weight = w.ssm_conv.data() + usize{i} * m.conv_width;
      float sum = 0;
      for (u32 k = 0; k < kept; k++) sum = sum + past[k] * weight[k];
      sum = sum + in[i] * weight[kept] + w.ssm_conv_bias[i];
      for (u32 k = 0; k + 1 < kept; k++) past[k] = past[k + 1];
      past[kept - 1] = in[i];
      out[i] = silu(sum);
    }
  }
}

// Computes the recurrence of channels [first, last) over all rows, in order.
void scan(Step& s, const LayerWeights& w, u32 layer, u32 first, u32 last) {
  const SsmParams& m = s.params().ssm;
  Columns c = columns_of(m);
  u32 n = m.state_width;
  for (u32 row = 0; row < s.x.count; row++) {
    float* base = s.scratch[row];
    const float *u = base + c.u, *gate = base + c.both + m.inner_width;
    const float *b = base + c.projected + m.step_rank, *read = b + n;
    float* states = state_of(s, layer, row) + usize{m.inner_width} * (m.conv_width - 1);
    for (u32 i = first; i < last; i++) {
      float* h = states + usize{i} * n;
      if (s.batch()[row].position == 0) std::memset(h, 0, n * sizeof(float));
      float step = softplus(base[c.step + i]), input = step * u[i];
      const float* a = w.ssm_a.data() + usize{i} * n;
      for (u32 k = 0; k < n; k++) h[k] = h[k] * exp(step * a[k]) + b[k] * input;
      float y = lane_sum(n, [&](u32 k) { return h[k] * read[k]; });
      base[c.y + i] = (y + w.ssm_d[i] * u[i]) * silu(gate[i]);
    }
  }
}

void mamba_layer(Step& s, u32 layer) {
  const LayerWeights& w = s.layer(layer);
  const SsmParams& m = s.params().ssm;
  Columns c = columns_of(m);
  Platform& platform = s.model().platform;
  s.norm(w.attention_norm, s.x, s.normed);
  s.multiply(s.normed, {{w.ssm_in, s.scratch.from(c.both)}});
  parallel_ranges(platform, m.inner_width, 16,
                  [&](u32 first, u32 last, u32) { convolve(s, w, layer, first, last); });
  s.multiply(s.scratch.from(c.u), {{w.ssm_x, s.scratch.from(c.projected)}});
  s.multiply(s.scratch.from(c.projected), {{w.ssm_dt, s.scratch.from(c.step)}});
  parallel_ranges(platform, m.inner_width, 16,
                  [&](u32 first, u32 last, u32) { scan(s, w, layer, first, last); });
  s.multiply(s.scratch.from(c.y), {{w.ssm_output, s.x, true}});
}

using namespace family_words;

constexpr Architecture kRows[] = {
    {"mamba", kRms, kBefore, kNone, kSiluGated, kNoHeadNorms, read_mamba, check, mamba_layer},
};

}  // namespace

constinit const std::span<const Architecture> kMambaFamily = kRows;

}  // namespace ai
