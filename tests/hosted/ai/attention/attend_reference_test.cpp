// SPDX-License-Identifier: GPL-2.0-or-later
// Reference attention against plain softmax in double precision.
#include <cmath>

#include "ai/attention/attend.h"
#include "ai/kernels/table.h"
#include "ai/quant/half.h"
#include "kernel/base/bytes.h"
#include "kernel/base/containers.h"
#include "kernel/base/test.h"

namespace {

using namespace ai;

struct Shape {
  KvType type;
  u32 key_width, value_width, begin, end;
  float soft_cap;
};
constexpr Shape kShapes[] = {
    {KvType::kF16, 64, 64, 0, 1, 0},     {KvType::kF16, 64, 64, 0, 100, 0},
    {KvType::kF16, 80, 80, 13, 77, 0},   {KvType::kF16, 100, 72, 40, 65, 20},
    {KvType::kQ8, 64, 64, 0, 100, 0},    {KvType::kQ8, 80, 100, 31, 33, 0},
    {KvType::kQ8, 256, 256, 5, 130, 30},
};
constexpr u32 kPositions = 160;

float wave(u32 i, u32 j) {
  return std::sin(static_cast<float>(i) * 0.37f + static_cast<float>(j * j) * 0.11f);
}

double exact(const Shape& s, const float* query, u32 d) {
  double sum = 0, mixed = 0;
  for (u32 p = s.begin; p < s.end; p++) {
    double score = 0;
    for (u32 k = 0; k < s.key_width; k++) score += double{query[k]} * wave(p, k);
    score /= std::sqrt(s.key_width);
    if (s.soft_cap != 0) score = s.soft_cap * std::tanh(score / s.soft_cap);
    sum += std::exp(score);
    mixed += std::exp(score) * wave(p + 1000, d);
  }
  return mixed / sum;
}

}  // namespace

TEST(attend_reference, is_near_plain_softmax) {
  for (const Shape& s : kShapes) {
    constexpr u32 kPages = kPositions / kPagePositions;
    usize page_bytes = kv_page_bytes(s.type, s.key_width, s.value_width);
    Byte* pages[kPages];
    for (Byte*& page : pages) {
      page = static_cast<Byte*>(base::allocate(page_bytes, 64));
      REQUIRE(page != nullptr);
      std::memset(page, 0xff, page_bytes);  // NaNs where nothing was stored
    }
    float row[kMaxHeadWidth];
    for (u32 p = s.begin; p < s.end; p++) {
      for (u32 d = 0; d < s.key_width; d++) row[d] = wave(p, d);
      store_key(s.type, pages[p / kPagePositions], s.key_width, p % kPagePositions, row);
      for (u32 d = 0; d < s.value_width; d++) row[d] = wave(p + 1000, d);
      store_value(s.type, pages[p / kPagePositions], s.key_width, s.value_width, p % kPagePositions,
                  row);
    }
    float query[kMaxHeadWidth], out[kMaxHeadWidth];
    for (u32 d = 0; d < s.key_width; d++) query[d] = wave(d, 3) * 3;
    AttendQuery one{query, out, s.begin, s.end};
    AttendJob job{pages,
                  s.type,
                  s.key_width,
                  s.value_width,
                  1.0f / std::sqrt(static_cast<float>(s.key_width)),
                  s.soft_cap,
                  &one,
                  1};
    kReferenceKernels.attend(job);
    double tolerance = s.type == KvType::kF16 ? 1e-3 : 2e-2;
    for (u32 d = 0; d < s.value_width; d++)
      EXPECT(std::abs(out[d] - exact(s, query, d)) < tolerance);
    for (Byte* page : pages) base::deallocate(page);
  }
}

// Four values at once have the bits of one: all exponents and signs, the borders of rounding.
TEST(attend_reference, stores_halves_as_they_are_narrowed_alone) {
  constexpr u32 kWidth = 75;  // a remainder of three
  alignas(64) static Byte page[kPagePositions * (kWidth * 2 + 80 * 2)];
  REQUIRE(kv_page_bytes(KvType::kF16, kWidth, kWidth) <= sizeof page);
  constexpr u32 kLow[] = {0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x3000, 0x7fffff};
  u32 high = 0;
  for (u32 position = 0; high < 0x200; position = (position + 1) % kPagePositions) {
    float row[kWidth];
    for (u32 d = 0; d < kWidth; d++)
      row[d] = std::bit_cast<float>((high + d / 9) << 23 | kLow[d % 9]);
    store_key(KvType::kF16, page, kWidth, position, row);
    store_value(KvType::kF16, page, kWidth, kWidth, position, row);
    const Byte* keys = page + position / 16 * kWidth * 32 + position % 16 * 2;
    const Byte* values = page + key_bytes(KvType::kF16, kWidth) + position * 160;
    for (u32 d = 0; d < 80; d++) {
      u16 expected = d < kWidth ? f32_to_f16(row[d]) : u16{0};
      EXPECT_EQ(base::load<u16>(values + 2 * d), expected);
      if (d < kWidth) EXPECT_EQ(base::load<u16>(keys + 32 * d), expected);
    }
    high += 8;
  }
}
