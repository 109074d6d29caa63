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
  PairOrder order{begin, begin + moe.experts + 1, begin + moe.experts + 1 + count, count};
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

// Adds one product for each expert that was picked by some row.
usize Step::add_expert_products(const Linear& weights, Rows in, Rows out, const PairOrder& order,
                                Product* products) {
  usize count = 0;
  ActivationType type = quant_info(weights.weight.type).activation;
  Activations a = quantize(in, weights.weight.columns, type,
                           layout().expert_quantized[static_cast<usize>(type)]);
  for (u32 e = 0; e < params().moe.experts; e++) {
    u32 first = order.begin[e], rows = order.begin[e + 1] - first;
    if (rows == 0) continue;
    std::span<const float> bias = weights.bias;
    if (!bias.empty()) bias = bias.subspan(usize{e} * weights.rows(), weights.rows());
    products[count++] = {weights.at(e),
                         bias,
                         static_cast<const Byte*>(a.data) + first * a.bytes,
                         a.bytes,
                         Rows{out[first], out.stride, rows},
                         false};
  }
  return count;
}

void Step::experts(const LayerWeights& w, Rows in, Rows out, bool accumulate) {
  const MoeParams& moe = params().moe;
  Rows logits = rows_at(layout().probabilities, moe.experts * usize{2});
  multiply(in, {{w.router, logits}});
  for_rows(in.count, [&](u32 row) { choose(w, row); });
  PairOrder order = sort_pairs();

  u32 n = moe.ffn_width;
  Rows gathered = gather(in, params().width, order);
  Rows gate = pair_rows(layout().expert_hidden, row_stride(n) * 2);
  Rows up = gate.from(static_cast<u32>(row_stride(n)));
  Rows act = pair_rows(layout().expert_gated, n);
  Rows answer = pair_rows(layout().expert_out, params().width);
  Product* products = at<Product>(layout().products);
  usize count = add_expert_products(w.gate_experts, gathered, gate, order, products);
  count += add_expert_products(w.up_experts, gathered, up, order, products + count);
  run({products, count});
  activate(gate, up, act, n);
  count = add_expert_products(w.down_experts, act, answer, order, products);
  run({products, count});
  sum_choices(answer, order);
  if (moe.shared_ffn_width > 0) add_shared_expert(w, in);
  deliver(branch, out, accumulate);
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
