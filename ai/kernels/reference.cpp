// SPDX-License-Identifier: GPL-2.0-or-later
// The reference kernels: products, norms and activations in the order of operations that every SIMD
// table repeats bit for bit (wiki/Numerics). They are complete and portable, and are not meant to
// be fast.
#include <algorithm>

#include "ai/attention/reference.h"
#include "ai/kernels/table.h"
#include "ai/math/activations.h"
#include "ai/quant/quant.h"

namespace ai {
namespace {

// Returns a view of the job's matrix, from which single rows are read.
TensorView view_of(const MatMul& job, QuantType type) {
  usize row = job.group_bytes / kGroupRows;
  return {.data = {static_cast<const Byte*>(job.groups), job.rows * row},
          .type = type,
          .columns = job.columns,
          .rows = job.rows,
          .row_bytes = row,
          .grouped = true};
}

// Computes acc = acc + float(isum) * (d_row * d_act), then the min term. |isum| <= 32 * 128 * 127 <
// 2^19.
float add_block(float acc, const BlockIntegers& w, const ActivationQ8x32& a) {
  i32 isum = 0;
  for (u32 k = 0; k < 32; k++) isum += w.q[k] * a.q[k];
  acc = acc + static_cast<float>(isum) * (w.d * a.scale);
  if (w.has_minimum) acc = acc + -w.dmin * a.weighted_sum;
  return acc;
}

// All sums inside a superblock are exact: |isum| <= 256 weights * scale * |q| * 127, at most 256 *
// 128 * 32 * 127 < 2^31 (Q6_K), and |msum| <= 256 * 63 * 127 (Q4_K).
float add_block(float acc, const BlockIntegers& w, const ActivationQ8x256& a) {
  i32 isum = 0, msum = 0;
  for (u32 k = 0; k < 256; k++) isum += w.scale[k / w.sub_block] * (w.q[k] * a.q[k]);
  for (u32 j = 0; j < 256 / w.sub_block; j++)
    msum += w.minimum[j] * (w.sub_block == 16 ? a.sums16[j] : a.sums32[j]);
  acc = acc + static_cast<float>(isum) * (w.d * a.scale);
  if (w.has_minimum) acc = acc - static_cast<float>(msum) * (w.dmin * a.scale);
  return acc;
}

// Adds element i to lane i mod 16, ascending; then lanes 8+8, 4+4, 2+2, 1+1.
class LaneSum {
 public:
  void add(u32 i, float value) { lanes_[i % 16] = lanes_[i % 16] + value; }
  float total() const {
    float sum[16];
    std::copy(lanes_, lanes_ + 16, sum);
    for (u32 half = 8; half > 0; half /= 2)
      for (u32 i = 0; i < half; i++) sum[i] = sum[i] + sum[i + half];
    return sum[0];
  }

 private:
  float lanes_[16] = {};
};

void store(const MatMul& job, u32 row, u32 b, float value) {
  float& out = job.out[b * job.out_stride + row];
  out = job.accumulate ? out + value : value;
}

template <QuantType type, class Activation>
void mat_mul_blocks(const MatMul& job) {
  const QuantInfo& info = quant_info(type);
  TensorView view = view_of(job, type);
  u32 blocks = job.columns / info.block_weights;
  u32 last = std::min(job.rows, job.last_group * kGroupRows);
  BlockIntegers integers;
  for (u32 row = job.first_group * kGroupRows; row < last; row++) {
    for (u32 b = 0; b < job.batch; b++) {
      auto* activations = reinterpret_cast<const Activation*>(
          static_cast<const Byte*>(job.activations) + b * job.activation_bytes);
      float acc = 0;
      for (u32 block = 0; block < blocks; block++) {
        Byte bytes[256];
        copy_block(view, row, block, bytes);
        split_block(type, bytes, integers);
        acc = add_block(acc, integers, activations[block]);
      }
      store(job, row, b, acc);
    }
  }
}

template <QuantType type>
void mat_mul_floats(const MatMul& job) {
  TensorView view = view_of(job, type);
  u32 last = std::min(job.rows, job.last_group * kGroupRows);
  for (u32 row = job.first_group * kGroupRows; row < last; row++) {
    for (u32 b = 0; b < job.batch; b++) {
      auto* x = reinterpret_cast<const float*>(static_cast<const Byte*>(job.activations) +
                                               b * job.activation_bytes);
      LaneSum sum;
      for (u32 k = 0; k < job.columns; k++) {
        float weight = 0;
        dequantize(type, view.data.data() + row * view.row_bytes + k * quant_info(type).block_bytes,
                   &weight, 1);
        sum.add(k, weight * x[k]);
      }
      store(job, row, b, sum.total());
    }
  }
}

void rms_norm(const float* in, const float* weight, float epsilon, float* out, u32 n) {
  LaneSum squares;
  for (u32 i = 0; i < n; i++) squares.add(i, in[i] * in[i]);
  float mean = squares.total() / static_cast<float>(n);
  float scale = 1.0f / __builtin_sqrtf(mean + epsilon);
  for (u32 i = 0; i < n; i++) out[i] = in[i] * scale * weight[i];
}

void silu_mul(const float* gate, const float* up, float* out, u32 n) {
  for (u32 i = 0; i < n; i++) out[i] = silu(gate[i]) * up[i];
}

void gelu_mul(const float* gate, const float* up, float* out, u32 n) {
  for (u32 i = 0; i < n; i++) out[i] = gelu(gate[i]) * up[i];
}

void add(const float* a, const float* b, float* out, u32 n) {
  for (u32 i = 0; i < n; i++) out[i] = a[i] + b[i];
}

}  // namespace

constexpr KernelTable kReferenceKernels = {
    .name = "reference",
    .needs = {},
    .mat_mul =
        {
#define FORMAT_FLOAT(name, ...) mat_mul_floats<QuantType::k##name>,
#define FORMAT_32(name, ...) mat_mul_blocks<QuantType::k##name, ActivationQ8x32>,
#define FORMAT_256(name, ...) mat_mul_blocks<QuantType::k##name, ActivationQ8x256>,
#include "ai/quant/formats.def"
        },
    .quantize = {quantize_f32, quantize_q8x32, quantize_q8x256},
    .rms_norm = rms_norm,
    .silu_mul = silu_mul,
    .gelu_mul = gelu_mul,
    .add = add,
    .attend = attend_reference,
};
static_assert(complete(kReferenceKernels));

}  // namespace ai
