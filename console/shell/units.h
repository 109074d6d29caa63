// SPDX-License-Identifier: GPL-2.0-or-later
// Sizes and rates as commands print them. Any thread.
#pragma once

#include "kernel/base/format.h"

namespace console {

// A size in MiB, with one digit behind the point.
inline base::Decimal mebibytes(u64 bytes) {
  return base::ratio(bytes, kMiB, 1);
}

}  // namespace console
