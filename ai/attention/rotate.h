// SPDX-License-Identifier: GPL-2.0-or-later
// The rotation of a head's vector before it is quantized: a normalised Walsh-Hadamard transform. It
// spreads a few large values over all dimensions, so that they no longer set the scale of a block.
// Keys and queries are rotated alike, which leaves their products as they are; what is mixed from
// rotated values is rotated back once.
//
// The vector is cut into runs whose lengths are powers of two, the longest first: 128 as often as
// it fits, then what is left in falling powers (80 = 64 + 16, 100 = 64 + 32 + 4). A run of one
// value stays as it is.
#pragma once

#include "kernel/base/types.h"

namespace ai {

constexpr u32 kLongestRotation = 128;

// Rotates `width` values in place. Applied twice, it gives the vector back, up to rounding. Sums
// and differences are formed in one fixed order, so every CPU gets the same bits.
void rotate(float* vector, u32 width);

}  // namespace ai
