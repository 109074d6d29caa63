// SPDX-License-Identifier: GPL-2.0-or-later
// The reference table against plain arithmetic in double precision.
#include <cmath>

#include "ai/kernels/table.h"
#include "ai/quant/quant.h"
#include "kernel/base/bytes.h"
#include "kernel/base/containers.h"
#include "kernel/base/test.h"

namespace {

using namespace ai;

struct Random {
  u32 state = 1;
  float next() {  // in (-1, 1)
    state = state * 1664525 + 1013904223;
    return static_cast<float>(static_cast<i32>(state)) * 0x1p-31f;
  }
};

constexpr u32 kRows = 19, kColumns = 512, kBatch = 3;

// Random rows of the type with scales near 1/16.
void fill_rows(const QuantInfo& info, Vector<Byte>& data, Random& random) {
  for (Byte& b : data) b = static_cast<Byte>(static_cast<i32>(random.next() * 128));
  if (info.block_weights == 1) {
    for (usize i = 0; i < data.size(); i += info.block_bytes) {
      u16 half = static_cast<u16>(random.state >> 16 & 0xbbff);
      float value = random.next();
      if (info.block_bytes == 4) base::store(data.data() + i, value);
      if (info.block_bytes == 2) base::store(data.data() + i, half);
      if (info.type == QuantType::kBF16)
        base::store(data.data() + i, static_cast<u16>(std::bit_cast<u32>(value) >> 16));
    }
    return;
  }
  auto fields = group_fields(info.type);
  for (usize at = 0; at < data.size(); at += info.block_bytes) {
    for (const GroupField& field : fields) {
      if (field.unit == 2 && field.bytes == 2)
        base::store(data.data() + at + field.offset, static_cast<u16>(0x2c00 | data[at] << 2));
      if (field.unit == 1) data[at + field.offset] = 124;
    }
  }
}

}  // namespace

TEST(kernels_reference, products_are_near_the_exact_ones) {
  for (const QuantInfo& info : quant_infos()) {
    Random random;
    usize stride = row_bytes(info.type, kColumns);
    Vector<Byte> data;
    REQUIRE(data.resize(stride * kRows).has_value());
    fill_rows(info, data, random);
    TensorView view{data.view(), info.type, kColumns, kRows, stride};
    Vector<float> weights, x;
    REQUIRE(weights.resize(kRows * kColumns).has_value());
    REQUIRE(x.resize(kBatch * kColumns).has_value());
    for (u32 r = 0; r < kRows; r++) dequantize_row(view, r, weights.data() + r * kColumns);
    for (float& v : x) v = random.next();
    REQUIRE(interleave_rows(data.view(), view).has_value());

    usize bytes = activation_bytes(info.activation, kColumns);
    auto* quantized = static_cast<Byte*>(base::allocate(bytes * kBatch, 64));
    REQUIRE(quantized != nullptr);
    for (u32 b = 0; b < kBatch; b++)
      kReferenceKernels.quantize[static_cast<usize>(info.activation)](
          x.data() + b * kColumns, quantized + b * bytes, kColumns);
    float out[kBatch][kRows];
    MatMul job{.groups = data.data(),
               .group_bytes = stride * kGroupRows,
               .columns = kColumns,
               .rows = kRows,
               .first_group = 0,
               .last_group = 2,
               .activations = quantized,
               .activation_bytes = bytes,
               .batch = kBatch,
               .out = out[0],
               .out_stride = kRows,
               .accumulate = false,
               .prefetch = {}};
    kReferenceKernels.mat_mul[static_cast<usize>(info.type)](job);
    base::deallocate(quantized);
    double tolerance = info.activation == ActivationType::kF32 ? 1e-6 : 0.01;
    for (u32 b = 0; b < kBatch; b++) {
      for (u32 r = 0; r < kRows; r++) {
        double exact = 0, size = 0;
        for (u32 k = 0; k < kColumns; k++) {
          double term = double{weights[r * kColumns + k]} * x[b * kColumns + k];
          exact += term;
          size += term * term;
        }
        EXPECT(std::abs(out[b][r] - exact) <= tolerance * std::sqrt(size) * 4);
      }
    }
  }
}

TEST(kernels_reference, norm_and_gates) {
  float in[40], weight[40], out[40];
  double squares = 0;
  for (u32 i = 0; i < 40; i++) {
    in[i] = static_cast<float>(i) - 17.5f;
    weight[i] = 0.5f + static_cast<float>(i) / 64;
    squares += double{in[i]} * in[i];
  }
  kReferenceKernels.rms_norm(in, weight, 1e-5f, out, 40);
  for (u32 i = 0; i < 40; i++)
    EXPECT(std::abs(out[i] - in[i] / std::sqrt(squares / 40 + 1e-5) * weight[i]) < 1e-6);
  kReferenceKernels.silu_mul(in, weight, out, 40);
  for (u32 i = 0; i < 40; i++)
    EXPECT(std::abs(out[i] - in[i] / (1 + std::exp(-double{in[i]})) * weight[i]) < 3e-6);
  kReferenceKernels.gelu_mul(in, weight, out, 40);
  for (u32 i = 0; i < 40; i++) {
    double x = in[i];
    double u = std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
    EXPECT(std::abs(out[i] - x / 2 * (1 + std::tanh(u)) * weight[i]) < 3e-6);
  }
  kReferenceKernels.add(in, weight, out, 40);
  EXPECT(out[3] == in[3] + weight[3]);
}

TEST(kernels_select, holes_are_filled_and_names_found) {
  // Without features: the first table that asks for none, where the architecture has one.
  std::string_view plain = "reference";
  for (const KernelTable* table : arch_kernel_tables())
    if (table->needs == CpuFeatures{} && plain == "reference") plain = table->name;
  KernelTable none = select_kernels({});
  EXPECT_EQ(std::string_view(none.name), plain);
  for (auto* product : none.mat_mul) EXPECT(product != nullptr);
  EXPECT(!kernels_by_name("no such", {}).has_value());
  EXPECT(kernels_by_name("reference", {}).has_value());
  for (const KernelTable* table : arch_kernel_tables()) {
    EXPECT(kernels_by_name(table->name, {}).has_value() == (table->needs == CpuFeatures{}));
    KernelTable full = kernels_by_name(table->name, table->needs).value();
    for (auto* product : full.mat_mul) EXPECT(product != nullptr);
    EXPECT(full.attend != nullptr && full.rms_norm != nullptr);
  }
}
