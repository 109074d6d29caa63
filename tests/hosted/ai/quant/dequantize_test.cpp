// SPDX-License-Identifier: GPL-2.0-or-later
// Reference dequantization against the `gguf` Python package, halves against their definition.
#include <cstring>

#include "ai/quant/half.h"
#include "ai/quant/quant.h"
#include "kernel/base/hash.h"
#include "kernel/base/test.h"

namespace {

using namespace ai;
using enum QuantType;

struct Row {
  QuantType type;
  u32 scale_tops[2];  // bytes that lose their top exponent bit
  u8 mask;
  u64 digest;       // FNV-1a of the floats' bytes
  float picked[2];  // weights 1 and the last
};

// Printed by tests/oracles/dequantize_goldens.py.
constexpr Row kGoldens[] = {
    {kQ4_0, {1, 1}, 0xbf, 0x6717691c059c7d1d, {-0x1.81e0000000000p-12f, 0x1.9580000000000p-3f}},
    {kQ4_1, {1, 3}, 0xbf, 0xb9e5db59f890e841, {-0x1.8aa2000000000p-7f, 0x1.1118000000000p-6f}},
    {kQ5_0, {1, 1}, 0xbf, 0x8c728192ef4f5ff7, {0x1.81e0000000000p-11f, -0x1.1b5c000000000p+2f}},
    {kQ5_1, {1, 3}, 0xbf, 0x4a74695c7c666078, {-0x1.92ac000000000p-7f, 0x1.8623400000000p-6f}},
    {kQ8_0, {1, 1}, 0xbf, 0xd5fc36a3ca3e6b9c, {-0x1.79d6000000000p-8f, 0x1.ca48000000000p-6f}},
    {kQ2_K, {81, 83}, 0xbf, 0x5252dd56521df6a5, {-0x1.d290000000000p-1f, 0x1.bace000000000p+3f}},
    {kQ3_K, {109, 109}, 0xbf, 0x47fb1127d8417a59, {0x1.7850000000000p-8f, 0x1.3c20000000000p-7f}},
    {kQ4_K, {1, 3}, 0xbf, 0x9b906690de673a35, {0x1.469fa00000000p-2f, -0x1.16743e0000000p+1f}},
    {kQ5_K, {1, 3}, 0xbf, 0xa322b698e691484a, {0x1.78de200000000p-2f, -0x1.2689440000000p+6f}},
    {kQ6_K, {209, 209}, 0xbf, 0xedac04bf67c42df1, {-0x1.3a08800000000p+9f, 0x1.6338000000000p-3f}},
    {kIQ4_NL, {1, 1}, 0xbf, 0x5933fda480276992, {-0x1.4d9f000000000p-8f, 0x1.16c8000000000p+1f}},
    {kIQ4_XS, {1, 1}, 0xbf, 0x3d984e0aa44f1b51, {0x1.81e0000000000p-10f, 0x1.7728000000000p-9f}},
    {kMXFP4,
     {0, 0},
     0x7f,
     0xb4a45221712842fa,
     {-0x1.8000000000000p-122f, -0x1.0000000000000p-121f}},
    {kTQ1_0, {53, 53}, 0xbf, 0x844be3db289835e6, {0x1.4980000000000p-15f, -0x1.5e80000000000p-8f}},
    {kTQ2_0, {65, 65}, 0xbf, 0x1f7657027689bf6e, {-0x1.6bc0000000000p-9f, -0x1.3180000000000p-12f}},
};

}  // namespace

TEST(quant_dequantize, equals_the_gguf_package) {
  constexpr u32 kBlocks = 8;
  for (const Row& golden : kGoldens) {
    const QuantInfo& info = quant_info(golden.type);
    static Byte data[kBlocks * 256];
    static float values[kBlocks * 256];
    u32 state = 12345;
    for (u32 i = 0; i < kBlocks * info.block_bytes; i++) {
      state = state * 1664525 + 1013904223;
      data[i] = static_cast<Byte>(state >> 24);
    }
    for (u32 block = 0; block < kBlocks; block++)
      for (u32 top : golden.scale_tops) data[block * info.block_bytes + top] &= golden.mask;
    usize count = kBlocks * info.block_weights;
    dequantize(golden.type, data, values, count);
    EXPECT_EQ(std::bit_cast<u32>(values[1]), std::bit_cast<u32>(golden.picked[0]));
    EXPECT_EQ(std::bit_cast<u32>(values[count - 1]), std::bit_cast<u32>(golden.picked[1]));
    EXPECT_EQ(base::fnv1a({reinterpret_cast<const Byte*>(values), count * sizeof(float)}),
              golden.digest);
  }
}

// Digit n of a byte is floor(byte * 3^(n + 1) / 256) mod 3.
TEST(quant_dequantize, every_byte_of_ternary_weights) {
  constexpr u32 kPowers[] = {3, 9, 27, 81, 243};
  for (u32 byte = 0; byte < 256; byte++) {
    BlockTQ1_0 digits = {};
    BlockTQ2_0 pairs = {};
    digits.d = pairs.d = 0x3c00;  // 1
    std::memset(digits.qs, static_cast<int>(byte), sizeof digits.qs);
    std::memset(digits.qh, static_cast<int>(byte), sizeof digits.qh);
    std::memset(pairs.qs, static_cast<int>(byte), sizeof pairs.qs);
    float ones[256], twos[256];
    dequantize(kTQ1_0, reinterpret_cast<const Byte*>(&digits), ones, 256);
    dequantize(kTQ2_0, reinterpret_cast<const Byte*>(&pairs), twos, 256);
    u32 wrong = 0;
    for (u32 k = 0; k < 256; k++) {
      u32 n = k < 160 ? k / 32 : k < 240 ? (k - 160) / 16 : (k - 240) / 4;
      wrong += ones[k] != static_cast<float>(byte * kPowers[n] / 256 % 3) - 1;
      wrong += twos[k] != static_cast<float>(byte >> 2 * (k / 32 % 4) & 3) - 1;
    }
    EXPECT_EQ(wrong, 0u);
  }
}

TEST(quant_half, every_half_survives_the_round_trip) {
  u32 wrong = 0;
  for (u32 h = 0; h < 0x10000; h++) {
    bool nan = (h & 0x7fff) > 0x7c00;
    u16 back = f32_to_f16(f16_to_f32(static_cast<u16>(h)));
    wrong += back != (nan ? h | 0x200 : h);
  }
  EXPECT_EQ(wrong, 0u);
}

TEST(quant_half, narrows_to_the_nearest_and_to_even_on_a_tie) {
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f), 0x3c00);             // tie: down to even
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);  // above the tie
  EXPECT_EQ(f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);         // tie: up to even
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0x0000);  // tie: down to zero
  EXPECT_EQ(f32_to_f16(0x1.8p-25f), 0x0001);
  EXPECT_EQ(f32_to_f16(-0x1.ffep-15f), 0x8400);  // rounds up to the first normal
  EXPECT_EQ(f32_to_f16(-0.0f), 0x8000);
}

TEST(quant_types, table_and_numbers_of_the_file) {
  EXPECT_EQ(quant_infos().size(), static_cast<usize>(kCount));
  EXPECT(quant_from_ggml(12).value() == kQ4_K);
  EXPECT(quant_from_ggml(39).value() == kMXFP4);
  EXPECT(quant_from_ggml(34).value() == kTQ1_0);
  EXPECT(!quant_from_ggml(4).has_value());  // Q4_2, gone since 2023
  EXPECT(!quant_from_ggml(~0u).has_value());
}

TEST(quant_activation, scales_sums_and_rounding) {
  alignas(64) float in[256] = {};
  in[0] = 127.0f;
  in[1] = 0.5f;  // ties go to even
  in[2] = 1.5f;
  in[3] = -2.5f;
  in[40] = -63.0f;
  ActivationQ8x256 block;
  quantize_q8x256(in, &block, 256);
  EXPECT(block.scale == 1.0f);
  EXPECT_EQ(block.q[1], 0);
  EXPECT_EQ(block.q[2], 2);
  EXPECT_EQ(block.q[3], -2);
  EXPECT_EQ(block.sums16[0], 127);
  EXPECT_EQ(block.sums32[1], -63);
  ActivationQ8x32 small[2];
  quantize_q8x32(in, small, 64);
  EXPECT_EQ(small[0].sum, 127);
  EXPECT(small[0].weighted_sum == 127.0f);
  EXPECT_EQ(small[1].q[8], -127);
  for (float& x : in) x = 0x1p-127f;  // too small for a reciprocal: rounds to nothing
  quantize_q8x256(in, &block, 256);
  EXPECT(block.scale == 0.0f);
  EXPECT_EQ(block.q[0], 0);
  in[7] = __builtin_nanf("");
  quantize_q8x256(in, &block, 256);
  EXPECT(block.scale != block.scale);  // a NaN is not lost
}
