// SPDX-License-Identifier: GPL-2.0-or-later
// The twin's interrupts: file descriptors that CPU 0 watches whenever it waits or breathes.
#pragma once

#include "kernel/base/result.h"

namespace host {

// Calls on_ready(context) from CPU 0 when `fd` is readable (or writable, as asked). At most 64.
// The handler acts as an interrupt handler does: it records and wakes.
enum class Readiness : u8 { kReadable, kWritable };
Result<void> watch(int fd, Readiness readiness, void (*on_ready)(void*), void* context);
void unwatch(int fd);

void wait_for_events();  // until something is ready, the deadline or interrupt_wait()
void poll_events();      // handles what is ready now
void set_wait_deadline(u64 ticks);
void interrupt_wait();  // any thread, signal handlers too

}  // namespace host
