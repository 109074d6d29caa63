// SPDX-License-Identifier: GPL-2.0-or-later
// The arithmetic on real numbers that the console needs, in integers, because it has no floats.
#pragma once

#include "kernel/base/types.h"

namespace console {

// Returns e^(micro / 10^6) in thousandths, accurate to 1 in 10^8 or the last digit. Saturates above
// e^30.
u64 exp_milli(u64 micro);

// Returns the number with these bits (IEEE 754 binary32) in millionths, rounded to the nearest and
// saturated at 2^40. A NaN gives 0.
i64 float_bits_to_micro(u32 bits);

}  // namespace console
