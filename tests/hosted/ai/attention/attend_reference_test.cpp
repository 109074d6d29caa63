// SPDX-License-Identifier: GPL-2.0-or-later
// Reference attention against plain softmax in double precision.
#include <algorithm>
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
  float slope = 0;  // of ALiBi, seen from position 50
};
constexpr u32 kSeenFrom = 50;
constexpr Shape kShapes[] = {
    {KvType::kF16, 64, 64, 0, 1, 0},      {KvType::kF16, 64, 64, 0, 100, 0},
    {KvType::kF16, 80, 80, 13, 77, 0},    {KvType::kF16, 100, 72, 40, 65, 20},
    {KvType::kQ8, 64, 64, 0, 100, 0},     {KvType::kQ8, 80, 100, 31, 33, 0},
    {KvType::kQ8, 256, 256, 5, 130, 30},  {KvType::kQ8Q4, 64, 64, 0, 100, 0},
    {KvType::kQ8Q4, 80, 100, 3, 33, 0},   {KvType::kQ4, 128, 128, 0, 100, 0},
    {KvType::kQ4, 100, 72, 40, 65, 20},   {KvType::kF16, 64, 64, 0, 100, 0, 0.7f},
    {KvType::kQ8, 64, 64, 33, 100, 0, 4},
};
// The largest error of each type, for values that reach 1.
constexpr double kTolerance[] = {1e-3, 1e-2, 0.1, 0.2};
constexpr u32 kPositions = 160;

float wave(u32 i, u32 j) {
  return std::sin(static_cast<float>(i) * 0.37f + static_cast<float>(j * j) * 0.11f);
}

double exact(const Shape& s, const float* query, u32 d) {
  double sum = 0, mixed = 0;
  for (u32 p = s.begin; p < s.end; p++) {
    double score = 0;
    for (u32 k = 0; k < s.key_width; k++) score += double{query[k]} * wave(p, k);
    score -= double{s.slope} * std::abs(static_cast<double>(p) - kSeenFrom);
    score /= std::sqrt(s.key_width);
    if (s.soft_cap != 0) score = s.soft_cap * std::tanh(score / s.soft_cap);
    sum += std::exp(score);
    mixed += std::exp(score) * wave(p + 1000, d);
  }
  return mixed / sum;
}

// Returns the largest error of a score against keys in which dimension 5 is 40 times the others.
double error_beside_an_outlier(KvType type) {
  constexpr u32 kWidth = 128;
  Byte* page = static_cast<Byte*>(base::allocate(kv_page_bytes(type, kWidth, kWidth), 64));
  float key[kWidth], value[kWidth] = {}, query[kWidth], out[kWidth];
  for (u32 d = 0; d < kWidth; d++) query[d] = d == 5 ? 0.0f : wave(d, 3);
  double largest = 0;
  for (u32 p = 0; p < kPagePositions; p++) {
    // Two positions with the values 0 and 1: the output tells the difference of their scores.
    double score = 0;
    for (u32 d = 0; d < kWidth; d++) key[d] = d == 5 ? 40.0f : wave(p, d) / 4;
    for (u32 d = 0; d < kWidth; d++) score += double{query[d]} * double{key[d]};
    store_key(type, page, kWidth, 1, key);
    std::ranges::fill(key, 0.0f);
    store_key(type, page, kWidth, 0, key);
    std::ranges::fill(value, 0.0f);
    store_value(type, page, kWidth, kWidth, 0, value);
    value[0] = 1;
    store_value(type, page, kWidth, kWidth, 1, value);
    AttendQuery one{query, out, 0, 2};
    const Byte* pages[] = {page};
    kReferenceKernels.attend({pages, type, kWidth, kWidth, 0.25f, 0, &one, 1});
    double share = 1 / (1 + std::exp(-score / 4));
    largest = std::max(largest, std::abs(double{out[0]} - share));
  }
  base::deallocate(page);
  return largest;
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
    AttendQuery one{query, out, s.begin, s.end, kSeenFrom, s.slope};
    AttendJob job{pages,
                  s.type,
                  s.key_width,
                  s.value_width,
                  1.0f / std::sqrt(static_cast<float>(s.key_width)),
                  s.soft_cap,
                  &one,
                  1};
    kReferenceKernels.attend(job);
    double tolerance = kTolerance[static_cast<usize>(s.type)];
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

// Without the rotation, the outlier would set the step of its block, 40 / 127, which is more than
// its neighbours are.
TEST(attend_reference, an_outlier_does_not_cost_its_neighbours) {
  EXPECT(error_beside_an_outlier(KvType::kF16) < 1e-3);
  EXPECT(error_beside_an_outlier(KvType::kQ8) < 0.04);
}
