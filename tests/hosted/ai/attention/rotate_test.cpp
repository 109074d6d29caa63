// SPDX-License-Identifier: GPL-2.0-or-later
// The rotation against its definition, and what is asked of it: it can be undone, and keeps
// lengths.
#include "ai/attention/rotate.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernel/base/test.h"

namespace {

constexpr u32 kMostWidth = 640;

float wave(u32 i) {
  return std::sin(static_cast<float>(i * i) * 0.37f) * (i % 19 == 3 ? 30.0f : 1.0f);
}

// Element `i` of the transform of run [0, length) of `v`: the signs are the parities of i & j.
double defined(const float* v, u32 length, u32 i) {
  double sum = 0;
  for (u32 j = 0; j < length; j++)
    sum += std::popcount(i & j) % 2 == 0 ? double{v[j]} : -double{v[j]};
  return sum / std::sqrt(length);
}

}  // namespace

TEST(rotate, is_the_normalised_transform_of_each_run) {
  for (u32 width : {1u, 2u, 3u, 8u, 32u, 64u, 72u, 80u, 96u, 100u, 128u, 256u, 576u, 640u}) {
    float given[kMostWidth], turned[kMostWidth];
    for (u32 i = 0; i < width; i++) given[i] = turned[i] = wave(i);
    ai::rotate(turned, width);
    for (u32 first = 0; first < width;) {
      u32 length = std::min(std::bit_floor(width - first), ai::kLongestRotation);
      for (u32 i = 0; i < length; i++) {
        double error = std::abs(double{turned[first + i]} - defined(given + first, length, i));
        EXPECT(error < 2e-5);
      }
      first += length;
    }
  }
}

TEST(rotate, is_undone_by_itself_and_keeps_lengths) {
  for (u32 width : {2u, 64u, 80u, 100u, 128u, 640u}) {
    float given[kMostWidth], turned[kMostWidth];
    double before = 0, after = 0;
    for (u32 i = 0; i < width; i++) given[i] = turned[i] = wave(i);
    ai::rotate(turned, width);
    for (u32 i = 0; i < width; i++) {
      before += double{given[i]} * double{given[i]};
      after += double{turned[i]} * double{turned[i]};
    }
    EXPECT(std::abs(after / before - 1) < 1e-6);
    ai::rotate(turned, width);
    for (u32 i = 0; i < width; i++) EXPECT(std::abs(turned[i] - given[i]) < 2e-5f);
  }
}
