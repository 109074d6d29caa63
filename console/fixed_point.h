// SPDX-License-Identifier: GPL-2.0-or-later
// The little arithmetic on reals that the console needs, in integers: it has no float.
#pragma once

#include "kernel/base/types.h"

namespace console {

// e^(micro / 10^6) in thousandths, to 1 in 10^8 or the last digit; saturates above e^30.
u64 exp_milli(u64 micro);

}  // namespace console
