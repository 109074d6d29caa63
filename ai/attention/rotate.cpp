// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the rotation: a butterfly of sums and differences for each bit of a dimension's
// number, from the lowest bit to the highest, and one multiplication at the end.
#include "ai/attention/rotate.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "ai/math/four.h"

namespace ai {
namespace {

// 1 / sqrt(length), by the logarithm of the length
constexpr float kNorm[] = {1.0f,  0.707106781f, 0.5f,   0.353553391f,
                           0.25f, 0.176776695f, 0.125f, 0.0883883476f};
static_assert(1u << (std::size(kNorm) - 1) == kLongestRotation);

// The butterflies of the two lowest bits, within four neighbours. A sum does not depend on the
// order of its two parts, and subtracting is adding the negative, so these are the bits of a loop.
FourFloats within_four(FourFloats v) {
  v = __builtin_shufflevector(v, v, 1, 0, 3, 2) + __builtin_shufflevector(v, -v, 0, 5, 2, 7);
  return __builtin_shufflevector(v, v, 2, 3, 0, 1) + __builtin_shufflevector(v, -v, 0, 1, 6, 7);
}

void rotate_run(float* v, u32 length) {
  FourFloats norm = FourFloats{1, 1, 1, 1} * kNorm[std::countr_zero(length)];
  for (u32 i = 0; i < length; i += 4) put_four(v + i, within_four(four_at(v + i)));
  for (u32 half = 4; half < length; half *= 2)
    for (u32 first = 0; first < length; first += 2 * half)
      for (u32 i = first; i < first + half; i += 4) {
        FourFloats a = four_at(v + i), b = four_at(v + i + half);
        put_four(v + i, a + b);
        put_four(v + i + half, a - b);
      }
  for (u32 i = 0; i < length; i += 4) put_four(v + i, four_at(v + i) * norm);
}

}  // namespace

void rotate(float* vector, u32 width) {
  while (width >= 4) {
    u32 length = std::min(std::bit_floor(width), kLongestRotation);
    rotate_run(vector, length);
    vector += length, width -= length;
  }
  if (width >= 2) {
    float a = vector[0], b = vector[1];
    vector[0] = (a + b) * kNorm[1];
    vector[1] = (a - b) * kNorm[1];
  }
}

}  // namespace ai
