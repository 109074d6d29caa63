// SPDX-License-Identifier: GPL-2.0-or-later
// The gates of feed-forward layers and the soft cap of scores, computed with exp (ai/math/exp.h).
// SIMD tables repeat these functions step by step.
#pragma once

#include "ai/math/exp.h"

namespace ai {

// Computes 1 - 2 / (e^2x + 1), with an absolute error below 2e-7.
constexpr float tanh(float x) {
  return 1.0f - 2.0f / (exp(x + x) + 1.0f);
}

// Computes x * sigmoid(x).
constexpr float silu(float x) {
  return x / (1.0f + exp(-x));
}

constexpr float kGeluMinusTwice = -1.59576912f;  // -2 sqrt(2 / pi)
constexpr float kGeluCubic = 0.044715f;

// Computes GELU in the tanh form: x/2 (1 + tanh u) = x / (1 + e^-2u), u = sqrt(2/pi) (x + 0.044715
// x^3).
constexpr float gelu(float x) {
  float inner = x + x * (x * x) * kGeluCubic;
  return x / (1.0f + exp(inner * kGeluMinusTwice));
}

}  // namespace ai
