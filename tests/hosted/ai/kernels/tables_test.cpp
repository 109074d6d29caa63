// SPDX-License-Identifier: GPL-2.0-or-later
// Every kernel table this CPU can run against the reference: memcmp, no tolerances.
#include "kernel/arch_contract.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/kernels/fixture.h"

namespace {

using namespace kernels_fixture;

struct Shape {
  u32 rows, blocks, batch;  // blocks of 256 columns
  Kind kind;
  bool accumulate;
};
constexpr Shape kShapes[] = {
    {16, 1, 1, Kind::kUsual, false},   {1, 2, 1, Kind::kUsual, false},
    {33, 3, 1, Kind::kUsual, true},    {17, 2, 2, Kind::kExtreme, false},
    {31, 1, 3, Kind::kUsual, true},    {32, 5, 4, Kind::kLowest, false},
    {20, 1, 5, Kind::kExtreme, false}, {16, 4, 7, Kind::kUsual, false},
    {19, 2, 9, Kind::kLowest, true},   {18, 1, 8, Kind::kZero, false},
    {16, 1, 67, Kind::kUsual, false},
};

// None, one level, two, and further than any matrix of this test reaches.
constexpr Prefetch kPrefetches[] = {{}, {1024, 0}, {4096, 8192}, {0, 8192}, {1u << 20, 1u << 21}};

struct Owned {
  explicit Owned(usize bytes) : data(allocate_bytes(bytes)), size(bytes) {}
  ~Owned() { base::deallocate(data); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Byte* data;
  usize size;
};

bool same_product(QuantType type, const Shape& shape, const KernelTable& table) {
  const QuantInfo& info = quant_info(type);
  Random random{shape.rows * 7919 + static_cast<u32>(type)};
  // Formats of 32 get an odd number of blocks, float types an odd number of columns.
  u32 columns = shape.blocks * 256 + (info.block_weights == 32 ? 32 : 0) +
                (info.block_weights == 1 ? shape.rows : 0);
  usize stride = row_bytes(type, columns);
  Owned weights(stride * shape.rows);
  fill_rows(type, {weights.data, weights.size}, shape.kind, random);
  TensorView view{{weights.data, weights.size}, type, columns, shape.rows, stride};
  if (!interleave_rows({weights.data, weights.size}, view).has_value()) return false;

  usize bytes = activation_bytes(info.activation, columns);
  Owned activations(bytes * shape.batch), input(columns * sizeof(float));
  auto* x = reinterpret_cast<float*>(input.data);
  for (u32 b = 0; b < shape.batch; b++) {
    for (u32 k = 0; k < columns; k++)
      x[k] = shape.kind == Kind::kLowest ? (b % 2 == 0 ? 1.0f : -1.0f) : random.next();
    kReferenceKernels.quantize[static_cast<usize>(info.activation)](x, activations.data + b * bytes,
                                                                    columns);
  }
  u32 out_stride = shape.rows + 3;
  Owned wanted(shape.batch * out_stride * sizeof(float)), got(wanted.size);
  for (usize i = 0; i < wanted.size / sizeof(float); i++) {
    reinterpret_cast<float*>(wanted.data)[i] = random.next();
  }
  std::memcpy(got.data, wanted.data, wanted.size);
  MatMul job{.groups = weights.data,
             .group_bytes = stride * kGroupRows,
             .columns = columns,
             .rows = shape.rows,
             .first_group = 0,
             .last_group = (shape.rows + 15) / 16,
             .activations = activations.data,
             .activation_bytes = bytes,
             .batch = shape.batch,
             .out = reinterpret_cast<float*>(wanted.data),
             .out_stride = out_stride,
             .accumulate = shape.accumulate,
             .prefetch = kPrefetches[shape.rows % std::size(kPrefetches)]};
  kReferenceKernels.mat_mul[static_cast<usize>(type)](job);
  job.out = reinterpret_cast<float*>(got.data);
  table.mat_mul[static_cast<usize>(type)](job);
  return std::memcmp(wanted.data, got.data, wanted.size) == 0;
}

template <class Body>
void for_each_table(TestContext& test, Body body) {
  u32 tables = 0;
  for (const KernelTable* table : arch_kernel_tables()) {
    if (!arch::Cpu::cpu_features().has_all(table->needs)) continue;
    body(*table);
    tables++;
  }
  if (tables == 0) test.skip("this CPU runs none of the tables");
}

void expect_same(TestContext& test, const char* table, const char* what, u32 n, bool same) {
  if (same) return;
  char text[128];
  test.report(__FILE__, __LINE__, base::format_into(text, "{} {} {}: other bits", table, what, n));
}

}  // namespace

TEST(kernels_tables, products_have_the_bits_of_the_reference) {
  for_each_table(test, [&](const KernelTable& table) {
    for (const QuantInfo& info : quant_infos()) {
      if (table.mat_mul[static_cast<usize>(info.type)] == nullptr) continue;
      for (const Shape& shape : kShapes)
        expect_same(test, table.name, info.name, static_cast<u32>(&shape - kShapes),
                    same_product(info.type, shape, table));
    }
  });
}

TEST(kernels_tables, activations_quantize_to_the_same_bytes) {
  for_each_table(test, [&](const KernelTable& table) {
    for (ActivationType type : {ActivationType::kQ8x32, ActivationType::kQ8x256}) {
      constexpr u32 kCount = 1024;
      alignas(64) float in[kCount];
      Random random;
      for (u32 i = 0; i < kCount; i++) in[i] = random.next() * (i < 512 ? 1.0f : 0x1p-130f);
      for (u32 i = 256; i < 288; i++) in[i] = static_cast<float>(i - 256) + 0.5f;  // ties
      in[287] = -127.0f;
      usize bytes = activation_bytes(type, kCount);
      Owned wanted(bytes), got(bytes);
      std::memset(wanted.data, 0, bytes);
      std::memset(got.data, 0, bytes);
      kReferenceKernels.quantize[static_cast<usize>(type)](in, wanted.data, kCount);
      table.quantize[static_cast<usize>(type)](in, got.data, kCount);
      expect_same(test, table.name, "quantize", static_cast<u32>(type),
                  std::memcmp(wanted.data, got.data, bytes) == 0);
    }
  });
}

TEST(kernels_tables, norms_and_gates_have_the_same_bits) {
  constexpr u32 kMost = 80;
  for_each_table(test, [&](const KernelTable& table) {
    for (u32 n = 1; n <= kMost; n++) {
      float a[kMost], b[kMost], wanted[4][kMost], got[4][kMost];
      Random random{n};
      for (u32 i = 0; i < n; i++) {
        a[i] = random.next() * (i % 7 == 0 ? 200.0f : 4.0f);
        b[i] = random.next();
      }
      auto run = [&](const KernelTable& t, float(&out)[4][kMost]) {
        t.rms_norm(a, b, 1e-6f, out[0], n);
        t.silu_mul(a, b, out[1], n);
        t.gelu_mul(a, b, out[2], n);
        t.add(a, b, out[3], n);
      };
      run(kReferenceKernels, wanted);
      run(table, got);
      for (u32 what = 0; what < 4; what++)
        expect_same(test, table.name, "vector operation", what * 1000 + n,
                    std::memcmp(wanted[what], got[what], n * sizeof(float)) == 0);
    }
  });
}
