// SPDX-License-Identifier: GPL-2.0-or-later
// Mixture of experts: the router picks a few feed-forward nets for each row.
//
// Pairs (row, choice) are sorted by expert, so that an expert's weights are read once per step for
// all rows that chose it. The outputs for a row are added in the order of its choices, so the other
// rows of the batch cannot change its bits.
#include <algorithm>
#include <cstring>

#include "ai/math/exp.h"
#include "ai/models/forward.h"
#include "ai/quant/quant.h"

namespace ai {
namespace {

float sigmoid(float x) {
  return 1.0f / (1.0f + exp(-x));
}

void soft_max(float* values, u32 n) {
  float highest = *std::max_element(values, values + n), sum = 0;
  for (u32 i = 0; i < n; i++) {
    values[i] = exp(values[i] - highest);
    sum = sum + values[i];
  }
  for (u32 i = 0; i < n; i++) values[i] = values[i] / sum;
}

// Picks the highest scores, highest first. A tie goes to the lower expert. NaN is never picked.
void pick(std::span<const float> scores, std::span<Choice> out) {
  usize found = 0;
  for (u32 e = 0; e < scores.size(); e++) {
    if (found == out.size() && !(scores[e] > out[found - 1].weight)) continue;
    usize at = found < out.size() ? found++ : found - 1;
    for (; at > 0 && scores[e] > out[at - 1].weight; at--) out[at] = out[at - 1];
    out[at] = {e, scores[e]};
  }
}

}  // namespace

// Applies the gate to the router's outputs in `probabilities`, picks the experts of each row and
// computes their weights.
void Step::choose(const LayerWeights& w, u32 row) {
  const MoeParams& moe = params().moe;
  Rows table = rows_at(layout().probabilities, moe.experts * usize{2});
  float *gate = table[row], *score = gate + moe.experts;
  if (moe.sigmoid) {
    for (u32 e = 0; e < moe.experts; e++) gate[e] = sigmoid(gate[e]);
  } else {
    soft_max(gate, moe.experts);
  }
  for (u32 e = 0; e < moe.experts; e++)
    score[e] = w.router_correction.empty() ? gate[e] : gate[e] + w.router_correction[e];
  if (moe.groups > 1) keep_best_groups({score, moe.experts});
  std::span<Choice> chosen(at<Choice>(layout().choices) + usize{row} * moe.experts_used,
                           moe.experts_used);
  pick({score, moe.experts}, chosen);
  float sum = 0;
  for (Choice& c : chosen) {
    c.weight = gate[c.expert];  // the correction affects which expert is picked, not its weight
    sum = sum + c.weight;
  }
  for (Choice& c : chosen) {
    if (moe.weights_norm) c.weight = c.weight / sum;
    c.weight = c.weight * moe.weights_scale;
  }
}

// Restricts the choice to the experts of the best groups. A group's score is the sum of its two
// best experts (DeepSeek-V3, 2.1.2).
void Step::keep_best_groups(std::span<float> scores) {
  const MoeParams& moe = params().moe;
  u32 size = moe.experts / moe.groups;
  constexpr float kNever = -3.0e38f;
  float worth[64];
  for (u32 g = 0; g < moe.groups; g++) {
    float best = kNever, second = kNever;
    for (u32 i = 0; i < size; i++) {
      float s = scores[g * size + i];
      if (s > best) {
        second = best;
        best = s;
      } else if (s > second) {
        second = s;
      }
    }
    worth[g] = size > 1 ? best + second : best;
  }
  Choice kept[64];
  pick({worth, moe.groups}, {kept, moe.groups_used});
  for (u32 g = 0; g < moe.groups; g++) {
    bool in = std::any_of(kept, kept + moe.groups_used, [&](Choice c) { return c.expert == g; });
    for (u32 i = 0; i < size && !in; i++) scores[g * size + i] = kNever;
  }
}

// Sorts the pairs by expert. Fills the start of each expert's run (experts + 1 entries), the pair
// at each place of the order, and the place of each pair.
Step::PairOrder Step::sort_pairs() {
  const MoeParams& moe = params().moe;
  u32 count = x.count * moe.experts_used;
  const Choice* choices = at<Choice>(layout().choices);
  u32* begin = at<u32>(layout().pairs);
  u32* places = begin + moe.experts + 1;
  PairOrder order{begin, places, places + count, places + 2 * usize{count}, count};
  for (u32 e = 0; e < moe.experts; e++) order.experts[e] = e;
  std::fill(begin, begin + moe.experts + 1, 0u);
  for (u32 i = 0; i < count; i++) begin[choices[i].expert + 1]++;
  for (u32 e = 0; e < moe.experts; e++) begin[e + 1] += begin[e];
  for (u32 i = 0; i < count; i++) {
    u32 place = begin[choices[i].expert]++;
    order.pair_at[place] = i;
    order.place_of[i] = place;
  }
  for (u32 e = moe.experts; e > 0; e--) begin[e] = begin[e - 1];
  begin[0] = 0;
  return order;
}

Rows Step::pair_rows(usize offset, usize width) const {
  return {at<float>(offset), row_stride(width), x.count * params().moe.experts_used};
}

// Copies the rows of `in` into the order of the pairs.
Rows Step::gather(Rows in, u32 n, const PairOrder& order) {
  Rows out = pair_rows(layout().expert_in, n);
  for_rows(order.count, [&](u32 place) {
    u32 row = order.pair_at[place] / params().moe.experts_used;
    std::memcpy(out[place], in[row], n * sizeof(float));
  });
  return out;
}

namespace {

// Calls body(first, count) for each run of neighbouring places that belong to experts of the wave.
template <class Body>
void for_runs(const u32* begin, std::span<const u32> wave, Body&& body) {
  for (usize i = 0; i < wave.size();) {
    u32 first = begin[wave[i]], last = begin[wave[i] + 1];
    for (i++; i < wave.size() && begin[wave[i]] == last; i++) last = begin[wave[i] + 1];
    if (first < last) body(first, last - first);
  }
}

}  // namespace

// Quantizes the rows of the wave, each at its own place.
Step::Activations Step::quantize_wave(Rows in, u32 n, ActivationType type, const PairOrder& order,
                                      Wave wave) {
  if (type == ActivationType::kF32) return {in.data, in.stride * sizeof(float)};
  usize where = layout().expert_quantized[static_cast<usize>(type)];
  usize bytes = activation_bytes(type, n);
  for_runs(order.begin, wave, [&](u32 first, u32 count) {
    quantize({in[first], in.stride, count}, n, type, where + first * bytes);
  });
  return {at<Byte>(where), bytes};
}

TensorView Step::weights_of(const ExpertLinear& weights, u32 expert) const {
  if (model_.streamed == nullptr) return weights.linear.at(expert);
  return model_.streamed->store().view(weights.matrix, expert);
}

// Adds one product for each expert of the wave that was picked by some row.
usize Step::add_expert_products(const ExpertLinear& weights, Rows in, Rows out,
                                const PairOrder& order, Wave wave, Product* products) {
  usize count = 0;
  const Linear& linear = weights.linear;
  ActivationType type = quant_info(linear.weight.type).activation;
  Activations a = quantize_wave(in, linear.weight.columns, type, order, wave);
  for (u32 e : wave) {
    u32 first = order.begin[e], rows = order.begin[e + 1] - first;
    if (rows == 0) continue;
    std::span<const float> bias = linear.bias;
    if (!bias.empty()) bias = bias.subspan(usize{e} * linear.rows(), linear.rows());
    products[count++] = {weights_of(weights, e),
                         bias,
                         static_cast<const Byte*>(a.data) + first * a.bytes,
                         a.bytes,
                         Rows{out[first], out.stride, rows},
                         false};
  }
  return count;
}

void Step::experts(u32 layer, Rows in, Rows out, bool accumulate) {
  const MoeParams& moe = params().moe;
  const LayerWeights& w = this->layer(layer);
  Rows logits = rows_at(layout().probabilities, moe.experts * usize{2});
  multiply(in, {{w.router, logits}});
  for_rows(in.count, [&](u32 row) { choose(w, row); });
  PairOrder order = sort_pairs();

  u32 n = moe.ffn_width;
  Rows gate = pair_rows(layout().expert_hidden, row_stride(n) * 2);
  PairBuffers at{.in = gather(in, params().width, order),
                 .gate = gate,
                 .up = gate.from(static_cast<u32>(row_stride(n))),
                 .act = pair_rows(layout().expert_gated, n),
                 .out = pair_rows(layout().expert_out, params().width)};
  if (model_.streamed != nullptr) {
    compute_arrivals(layer, at, order);
    if (!status_.has_value()) return;
  } else {
    compute_wave(w, at, order, {order.experts, moe.experts});
  }
  sum_choices(at.out, order);
  if (moe.shared_ffn_width > 0) add_shared_expert(w, in);
  deliver(branch, out, accumulate);
}

// Computes the experts in the order in which they arrive. Each writes to rows of its own, so the
// bits do not depend on that order.
void Step::compute_arrivals(u32 layer, const PairBuffers& at, const PairOrder& order) {
  ExpertStore& store = model_.streamed->store();
  store.begin(layer, {order.begin, params().moe.experts + usize{1}});
  for (;;) {
    operation("expert reads");
    Result<Wave> wave = store.next(workspace_.abandoned);
    operation("experts");
    if (!wave.has_value()) {
      status_ = std::unexpected(wave.error());
      return;
    }
    if (wave->empty()) return;
    compute_wave(this->layer(layer), at, order, *wave);
  }
}

// Computes the answers of some experts for the rows that chose them.
void Step::compute_wave(const LayerWeights& w, const PairBuffers& at, const PairOrder& order,
                        Wave wave) {
  Product* products = this->at<Product>(layout().products);
  usize count =
      add_expert_products({w.gate_experts, Matrix::kGate}, at.in, at.gate, order, wave, products);
  count +=
      add_expert_products({w.up_experts, Matrix::kUp}, at.in, at.up, order, wave, products + count);
  run({products, count});
  for_runs(order.begin, wave, [&](u32 first, u32 rows) {
    activate({at.gate[first], at.gate.stride, rows}, {at.up[first], at.up.stride, rows},
             {at.act[first], at.act.stride, rows}, params().moe.ffn_width);
  });
  count =
      add_expert_products({w.down_experts, Matrix::kDown}, at.act, at.out, order, wave, products);
  run({products, count});
}

// Computes branch = the sum of the row's expert outputs, each times its weight, first choice first.
void Step::sum_choices(Rows answer, const PairOrder& order) {
  u32 used = params().moe.experts_used;
  for_rows(branch.count, [&](u32 row) {
    float* sum = branch[row];
    for (u32 c = 0; c < used; c++) {
      u32 pair = row * used + c;
      float weight = at<Choice>(layout().choices)[pair].weight;
      const float* part = answer[order.place_of[pair]];
      for (u32 i = 0; i < params().width; i++)
        sum[i] = c == 0 ? part[i] * weight : sum[i] + part[i] * weight;
    }
  });
}

// Adds the expert that every token uses. qwen2moe scales its output by a gate of its own.
void Step::add_shared_expert(const LayerWeights& w, Rows in) {
  if (!w.shared_router.present())
    return dense(w.shared_gate, w.shared_up, w.shared_down, in, branch, true);
  Rows logit = rows_at(layout().probabilities, params().moe.experts * usize{2});
  Rows answer = rows_at(layout().expert_out, params().width);
  multiply(in, {{w.shared_router, logit}});
  dense(w.shared_gate, w.shared_up, w.shared_down, in, answer, false);
  for_rows(branch.count, [&](u32 row) {
    float open = sigmoid(logit[row][0]);
    for (u32 i = 0; i < params().width; i++)
      branch[row][i] = branch[row][i] + answer[row][i] * open;
  });
}

void Step::deliver(Rows in, Rows out, bool accumulate) {
  if (in.data == out.data) return;
  for_rows(in.count, [&](u32 row) {
    if (accumulate) {
      model_.kernels.add(out[row], in[row], out[row], params().width);
    } else {
      std::memcpy(out[row], in[row], params().width * sizeof(float));
    }
  });
}

}  // namespace ai
