// SPDX-License-Identifier: GPL-2.0-or-later
// The version of the engine's numbers.
#pragma once

#include "kernel/base/types.h"

namespace ai {

// Raised by every change that changes a model's bits (tests/goldens/models/bits.txt). An answer of
// another version cannot be made again here, and its keys and values are of no use.
constexpr u32 kNumericsVersion = 1;

}  // namespace ai
