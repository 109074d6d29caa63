// SPDX-License-Identifier: GPL-2.0-or-later
// `net bench`: sends bytes over one TCP connection to a peer that knows them, with time and
// comparison.
#pragma once

#include "console/shell/command.h"

namespace console {

// Runs `net bench HOST PORT send|receive|echo [MIB|COUNT]`.
Result<void> run_net_bench(const Arguments& arguments, base::Writer& out);

}  // namespace console
