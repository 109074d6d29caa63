// SPDX-License-Identifier: GPL-2.0-or-later
// The ARM64 runner has the engine alone, without the kernel's threads: nothing in it waits.
#include "tests/hosted/test_threads.h"

namespace test_threads {

void start() {}

}  // namespace test_threads
