// SPDX-License-Identifier: GPL-2.0-or-later
// Threads in tests: the test runner becomes the first thread, as kernel_main does.
#pragma once

namespace test_threads {

void start();  // once is enough, more do no harm

}  // namespace test_threads
