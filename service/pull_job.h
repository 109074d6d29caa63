// SPDX-License-Identifier: GPL-2.0-or-later
// A pull that runs by itself, on a thread of its own, for those who ask over the network. One at a
// time; who asks for the same model joins it, and nobody's leaving ends it. For threads of CPU 0;
// nothing here waits.
#pragma once

#include "ai/openai/api.h"

namespace service {

// See ai::openai::Backend::pull(). `news` is called on the pull's thread when it ends.
Result<u32> begin_pull(const ai::openai::PullWish& wish, void (*news)());
Result<ai::openai::PullState> pull_state(u32 number);
// Has the pull end after the piece under way. Returns false if there is none.
bool stop_pull();

}  // namespace service
