// SPDX-License-Identifier: GPL-2.0-or-later
// The Linux drivers as Marrow sees them: one start, then disks and cards in kernel/dev/registry.
#pragma once

#include "kernel/base/result.h"

namespace linux_drivers {

// Starts every driver in a thread of its own; the prompt does not wait for it. Thread context.
Result<void> start();
// Waits until the drivers have looked at every device once (disks are there), or `deadline_ns`.
bool wait_started(u64 deadline_ns);

// Any context: a disk or a card has come.
void devices_changed();
// Any context: something happened that a network stack may want to look at.
void wake_interfaces();
// What Linux code moved by memcpy and memmove since the start.
u64 copied_bytes();
// A random generator gave this much.
void count_entropy(u64 bits);

}  // namespace linux_drivers
