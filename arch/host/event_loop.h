// SPDX-License-Identifier: GPL-2.0-or-later
// The twin's interrupts: file descriptors that CPU 0 polls whenever it waits or breathes.
#pragma once

#include "kernel/base/result.h"

namespace host {

// Calls on_ready(context) on CPU 0 when `fd` is readable (or writable, as requested). At most 64
// watches. Like an interrupt handler, it may only record and wake.
enum class Readiness : u8 { kReadable, kWritable };
Result<void> watch(int fd, Readiness readiness, void (*on_ready)(void*), void* context);
void unwatch(int fd);

// returns when something is ready, at the deadline, or after interrupt_wait()
void wait_for_events();
void poll_events();  // handles what is ready now
void set_wait_deadline(u64 ticks);
void interrupt_wait();  // any thread, and signal handlers

}  // namespace host
