// SPDX-License-Identifier: GPL-2.0-or-later
// Turns the floats of models into decimals, for answers in JSON.
#pragma once

#include <algorithm>

#include "kernel/base/format.h"

namespace ai::openai {

// Nine digits behind the point are more than a float in a vector of length 1 needs. What is beyond
// a million either way becomes a million.
inline base::Decimal nine_digits(float value) {
  double scaled = std::clamp(static_cast<double>(value), -1e6, 1e6) * 1e9;
  return {static_cast<i64>(scaled + (scaled < 0 ? -0.5 : 0.5)), 9};
}

}  // namespace ai::openai
