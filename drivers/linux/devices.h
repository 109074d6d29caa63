// SPDX-License-Identifier: GPL-2.0-or-later
// The Linux drivers as the rest of Marrow sees them: one start, and then disks and cards in
// kernel/dev/registry.
#pragma once

#include "kernel/base/result.h"

namespace linux_drivers {

// Starts every driver in a thread of its own; the prompt does not wait for it. For threads.
Result<void> start();
// Sleeps until the drivers have examined every device once (disks are then there), or until
// `deadline_ns`.
bool wait_started(u64 deadline_ns);

// A disk or a card has appeared. Any context.
void devices_changed();
// Something happened that a network stack may want to look at. Any context.
void wake_interfaces();
// Returns the bytes that Linux code has moved by memcpy and memmove since the start.
u64 copied_bytes();
// Counts the entropy that a random generator gave.
void count_entropy(u64 bits);

}  // namespace linux_drivers
