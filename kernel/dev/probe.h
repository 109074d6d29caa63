// SPDX-License-Identifier: GPL-2.0-or-later
// The two moments of the boot at which devices appear. drivers/probe.cpp implements them for the
// machine, arch/host/devices.cpp for the twin.
#pragma once

struct BootInfo;

namespace devices {

// Starts what works without memory, interrupts or time. From here on every failure is visible.
void start_console(const BootInfo& boot);
// Starts everything else: input with interrupts, screen, buses and their devices.
void probe_all(const BootInfo& boot);

}  // namespace devices
