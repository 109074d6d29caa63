// SPDX-License-Identifier: GPL-2.0-or-later
// Compares the products of every format and the row functions with the reference, on random
// numbers.
#include "ai/kernels/self_check.h"

#include <algorithm>
#include <bit>

#include "ai/quant/quant.h"
#include "kernel/base/bytes.h"
#include "kernel/base/containers.h"

namespace ai {
namespace {

constexpr u32 kRows = 2 * kGroupRows + 5;  // two whole groups and an incomplete one
constexpr u32 kBlocks = 3;                 // in units of 256 columns
constexpr u32 kBatch = 5;                  // more than one tile, with a remainder

struct Random {
  u32 state;
  u32 bits() { return state = state * 1664525 + 1013904223; }  // Numerical Recipes' generator
  float next() { return static_cast<float>(static_cast<i32>(bits())) * 0x1p-31f; }  // in (-1, 1)
};

// Fills blocks with random weights whose scales are near 1/16, as in real models.
void fill_rows(QuantType type, std::span<Byte> data, Random& random) {
  constexpr u32 kHalfExponent = 0x2c00;  // an f16 in [1/16, 1/8)
  constexpr Byte kE8M0 = 120;            // 2^-7 as an exponent alone
  auto half = [&] { return static_cast<u16>(kHalfExponent | (random.bits() >> 16 & 0x3ff)); };
  for (Byte& b : data) b = static_cast<Byte>(random.bits() >> 24);
  for (usize at = 0; at < data.size(); at += quant_info(type).block_bytes) {
    Byte* block = data.data() + at;
    if (type == QuantType::kF32) base::store(block, random.next());
    if (type == QuantType::kF16) base::store(block, half());
    if (type == QuantType::kBF16)
      base::store(block, static_cast<u16>(std::bit_cast<u32>(random.next()) >> 16));
    for (const GroupField& field : group_fields(type)) {
      if (field.is_half) base::store(block + field.offset, half());
      if (field.unit == 1) block[field.offset] = kE8M0;
    }
  }
}

struct Buffers {
  Vector<Byte> weights, activations;
  Vector<float> wanted, got;
};

// Compares bit patterns, so that +0 and -0 differ.
bool equal_bits(const Buffers& room) {
  return std::ranges::equal(room.wanted, room.got, {}, std::bit_cast<u32, float>,
                            std::bit_cast<u32, float>);
}

// Computes one product of `type` with both tables. Returns false if a bit differs.
Result<bool> same_product(QuantType type, const KernelTable& table, Buffers& room) {
  const QuantInfo& info = quant_info(type);
  Random random{7919 + static_cast<u32>(type)};
  // Float types are read column by column, so an odd number of columns is tested.
  u32 columns = kBlocks * 256 + (info.block_weights == 1 ? 5 : 0);
  usize stride = row_bytes(type, columns), bytes = activation_bytes(info.activation, columns);
  TRY(room.weights.resize(stride * kRows));
  TRY(room.activations.resize(bytes * kBatch));
  TRY(room.wanted.resize(usize{kBatch} * kRows));
  TRY(room.got.resize(room.wanted.size()));
  fill_rows(type, room.weights.view(), random);
  TensorView view{room.weights.view(), type, columns, kRows, stride};
  TRY(interleave_rows(room.weights.view(), view));
  Vector<float> in;
  TRY(in.resize(columns));
  for (u32 b = 0; b < kBatch; b++) {
    for (float& x : in) x = random.next();
    kReferenceKernels.quantize[static_cast<usize>(info.activation)](
        in.data(), room.activations.data() + b * bytes, columns);
  }
  auto job = [&](Vector<float>& out) {
    return MatMul{.groups = room.weights.data(),
                  .group_bytes = kGroupRows * stride,
                  .columns = columns,
                  .rows = kRows,
                  .first_group = 0,
                  .last_group = (kRows + kGroupRows - 1) / kGroupRows,
                  .activations = room.activations.data(),
                  .activation_bytes = bytes,
                  .batch = kBatch,
                  .out = out.data(),
                  .out_stride = kRows,
                  .accumulate = false,
                  .prefetch = table.prefetch};
  };
  kReferenceKernels.mat_mul[static_cast<usize>(type)](job(room.wanted));
  table.mat_mul[static_cast<usize>(type)](job(room.got));
  return equal_bits(room);
}

// Compares the functions that work along one row of floats.
Result<bool> same_rows(const KernelTable& table, Buffers& room) {
  constexpr u32 kWidth = 523;  // no multiple of any vector's length
  Random random{104729};
  Vector<float> a, b;
  TRY(a.resize(kWidth));
  TRY(b.resize(kWidth));
  TRY(room.wanted.resize(kWidth));
  TRY(room.got.resize(kWidth));
  for (u32 i = 0; i < kWidth; i++) a[i] = random.next() * 8, b[i] = random.next();
  bool same = true;
  auto compare = [&](auto run) {
    run(kReferenceKernels, room.wanted.data());
    run(table, room.got.data());
    same = same && equal_bits(room);
  };
  compare(
      [&](const KernelTable& t, float* o) { t.rms_norm(a.data(), b.data(), 1e-5f, o, kWidth); });
  compare([&](const KernelTable& t, float* o) { t.silu_mul(a.data(), b.data(), o, kWidth); });
  compare([&](const KernelTable& t, float* o) { t.gelu_mul(a.data(), b.data(), o, kWidth); });
  compare([&](const KernelTable& t, float* o) { t.add(a.data(), b.data(), o, kWidth); });
  return same;
}

}  // namespace

Result<KernelCheck> check_kernels(CpuFeatures have, Platform& platform) {
  KernelCheck check;
  Buffers room;
  for (const KernelTable* row : arch_kernel_tables()) {
    if (!have.has_all(row->needs)) continue;
    KernelTable table = TRY(kernels_by_name(row->name, have));
    check.tables++;
    for (usize t = 0; t < usize(QuantType::kCount); t++) {
      platform.breathe();  // a slow CPU takes seconds for each table
      check.comparisons++;
      if (TRY(same_product(static_cast<QuantType>(t), table, room))) continue;
      log(platform, LogLevel::kError, "kernels {}: products of {} differ from the reference",
          table.name, quant_info(static_cast<QuantType>(t)).name);
      return fail(Errc::kCorrupt, "a vector kernel gives other bits than the reference");
    }
    check.comparisons += 4;
    if (TRY(same_rows(table, room))) continue;
    log(platform, LogLevel::kError, "kernels {}: a row function differs from the reference",
        table.name);
    return fail(Errc::kCorrupt, "a vector kernel gives other bits than the reference");
  }
  return check;
}

}  // namespace ai
