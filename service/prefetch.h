// SPDX-License-Identifier: GPL-2.0-or-later
// Decides how far ahead the engine's products ask for weights: as the option prefetch= says, or as
// a probe finds when the first model of some size is loaded. What was found is kept until the
// machine is turned off; each engine gets a copy before any worker reads it.
#pragma once

#include "ai/kernels/table.h"
#include "kernel/base/format.h"

namespace service {

struct PrefetchChoice {
  ai::Prefetch prefetch = ai::kUsualPrefetch;
  const char* reason = "the usual distance";  // a literal that `perf` prints
};

// Returns the choice for a model that is being loaded with these kernels. The first time it may
// take some 10 ms and 64 MiB of pages, which are free again when it returns. For threads of CPU 0
// that load a model, of which there is one at a time.
PrefetchChoice choose_prefetch(std::string_view kernels, u64 model_bytes);

// "8192 bytes ahead, measured on this machine"
void print_prefetch(base::Writer& out, const PrefetchChoice& choice);

}  // namespace service
