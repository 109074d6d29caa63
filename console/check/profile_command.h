// SPDX-License-Identifier: GPL-2.0-or-later
// `perf profile`: shows how much time each operation of the engine takes.
#pragma once

#include "console/shell/command.h"

namespace console {

// Reads a prompt and generates tokens for about `seconds`, and prints a table for each. Runs on the
// shell's thread, which sleeps meanwhile.
Result<void> profile_engine(u64 seconds, base::Writer& out);

}  // namespace console
