// SPDX-License-Identifier: GPL-2.0-or-later
// The little arithmetic on reals that the console needs, in integers: it has no float.
#pragma once

#include "kernel/base/types.h"

namespace console {

// e^(micro / 10^6) in thousandths, to 1 in 10^8 or the last digit; saturates above e^30.
u64 exp_milli(u64 micro);

// The number with these bits (IEEE 754 binary32) in millionths, rounded to the nearest, saturated
// at 2^40; a NaN is 0.
i64 float_bits_to_micro(u32 bits);

}  // namespace console
