// SPDX-License-Identifier: GPL-2.0-or-later
// `perf profile`: which operation of the engine takes how much of the time.
#pragma once

#include "console/shell/command.h"

namespace console {

// Reads a prompt and makes tokens for about `seconds`, and prints a table for each.
Result<void> profile_engine(u64 seconds, base::Writer& out);

}  // namespace console
