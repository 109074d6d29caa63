// SPDX-License-Identifier: GPL-2.0-or-later
// Row groups: in place, reversible, rows readable from either layout.
#include "ai/quant/groups.h"
#include "ai/quant/quant.h"
#include "kernel/base/containers.h"
#include "kernel/base/test.h"

namespace {

using namespace ai;

void fill(Vector<Byte>& bytes) {
  u32 state = 7;
  for (Byte& b : bytes) b = static_cast<Byte>((state = state * 1664525 + 1013904223) >> 24);
}

}  // namespace

TEST(quant_groups, interleaving_keeps_every_row) {
  for (const QuantInfo& info : quant_infos()) {
    for (u32 rows : {1u, 15u, 16u, 17u, 33u}) {
      u32 columns = 3 * info.block_weights;
      usize stride = row_bytes(info.type, columns);
      Vector<Byte> data, before, row;
      REQUIRE(data.resize(stride * rows).has_value());
      REQUIRE(row.resize(stride).has_value());
      fill(data);
      before = data.clone().value();
      TensorView view{data.view(), info.type, columns, rows, stride};
      REQUIRE(interleave_rows(data.view(), view).has_value());
      EXPECT(view.grouped);
      for (u32 r = 0; r < rows; r++) {
        copy_row(view, r, row.data());
        EXPECT(std::memcmp(row.data(), before.data() + r * stride, stride) == 0);
      }
      Vector<Byte> temporary;
      REQUIRE(temporary.resize(stride * kGroupRows).has_value());
      for (u32 g = 0; g < rows / kGroupRows; g++)
        deinterleave_group(info.type, columns, data.data() + g * kGroupRows * stride,
                           temporary.data());
      EXPECT(std::memcmp(data.data(), before.data(), data.size()) == 0);
    }
  }
}

TEST(quant_groups, a_lane_holds_four_bytes_of_a_row) {
  constexpr u32 kRows = 16;
  Vector<Byte> data;
  REQUIRE(data.resize(kRows * 144).has_value());
  for (u32 r = 0; r < kRows; r++) std::memset(data.data() + r * 144, static_cast<int>(r), 144);
  TensorView view{data.view(), QuantType::kQ4_K, 256, kRows, 144};
  REQUIRE(interleave_rows(data.view(), view).has_value());
  for (u32 i = 0; i < 64; i++) EXPECT_EQ(data[i], i / 2 % 16);  // d, dmin: f16 side by side
  for (u32 i = 64; i < data.size(); i++) EXPECT_EQ(data[i], i / 4 % 16);  // all else: 4 bytes
}

TEST(quant_groups, a_gathered_remainder_has_zero_rows) {
  constexpr u32 kRows = 3;
  Vector<Byte> data, gathered;
  REQUIRE(data.resize(kRows * 2 * 20).has_value());
  REQUIRE(gathered.resize(16 * 20).has_value());
  fill(data);
  gather_blocks(QuantType::kQ4_1, data.data(), 40, kRows, 1, 1, gathered.data());
  TensorView view{gathered.view(), QuantType::kQ4_1, 32, 16, 20, true};
  Byte block[20];
  for (u32 r = 0; r < 16; r++) {
    copy_block(view, r, 0, block);
    constexpr Byte kZeros[20] = {};
    EXPECT(std::memcmp(block, r < kRows ? data.data() + r * 40 + 20 : kZeros, 20) == 0);
  }
}

TEST(quant_groups, dequantizes_from_both_layouts) {
  constexpr u32 kRows = 20, kColumns = 64;
  Vector<Byte> data;
  REQUIRE(data.resize(kRows * 2 * 34).has_value());
  fill(data);
  for (usize at = 1; at < data.size(); at += 34) data[at] &= 0xbf;  // finite scales
  TensorView view{data.view(), QuantType::kQ8_0, kColumns, kRows, 68};
  float plain[kRows][kColumns], grouped[kColumns];
  for (u32 r = 0; r < kRows; r++) dequantize_row(view, r, plain[r]);
  REQUIRE(interleave_rows(data.view(), view).has_value());
  for (u32 r = 0; r < kRows; r++) {
    dequantize_row(view, r, grouped);
    EXPECT(std::memcmp(grouped, plain[r], sizeof grouped) == 0);
  }
}
