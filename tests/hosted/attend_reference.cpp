// SPDX-License-Identifier: GPL-2.0-or-later
// Reference attention against plain softmax in double precision.
#include <cmath>

#include "ai/attention/attend.h"
#include "ai/kernels/table.h"
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
