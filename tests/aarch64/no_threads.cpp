// SPDX-License-Identifier: GPL-2.0-or-later
// The ARM64 runner has only the engine, without the kernel's threads, so this says that nothing
// waits.
#include "tests/hosted/test_threads.h"

namespace test_threads {

void start() {}

}  // namespace test_threads
