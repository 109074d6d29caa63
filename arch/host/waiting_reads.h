// SPDX-License-Identifier: GPL-2.0-or-later
// Reads from the host's files during which the other threads of the twin's CPU 0 run. Some threads
// of the process make the system calls; an event tells CPU 0 that one of them has ended.
#pragma once

#include <span>

#include "kernel/base/result.h"

namespace host {

// Reads until `out` is full or the file ends, and returns the number of bytes. -1 and errno after
// an error. For threads of CPU 0; sleeps. `fd` must stay open until it returns.
i64 read_waiting(int fd, u64 offset, std::span<Byte> out);

}  // namespace host
