// SPDX-License-Identifier: GPL-2.0-or-later
// Contracts about the caller, as code: a call from the wrong context ends in a panic that names the
// thread and what was expected. Checked in the twin, in tests and in DEBUG=1 kernels; other kernels
// spend nothing on it.
#pragma once

#include "kernel/base/types.h"

namespace sched {

class Thread;

#if defined(MARROW_HOSTED) || MARROW_DEBUG
constexpr bool kContextsChecked = true;
#else
constexpr bool kContextsChecked = false;
#endif

void check_thread(const char* file, int line);
void check_owner(const Thread* owner, const char* file, int line);

// Asserts that the caller may wait: a thread of CPU 0 with interrupts on, not an interrupt handler.
// Every function that can wait calls this in its first line.
inline void assert_thread(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if constexpr (kContextsChecked) check_thread(file, line);
}

// Asserts that the caller is `owner`, the only thread that may be here.
inline void assert_owner(const Thread* owner, const char* file = __builtin_FILE(),
                         int line = __builtin_LINE()) {
  if constexpr (kContextsChecked) check_owner(owner, file, line);
}

}  // namespace sched
