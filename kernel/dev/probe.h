// SPDX-License-Identifier: GPL-2.0-or-later
// The two moments at which a machine's devices appear. The machine's half is drivers/probe.cpp,
// the twin's is arch/host/devices.cpp.
#pragma once

struct BootInfo;

namespace devices {

// What works without memory, interrupts or time: from here on every failure is visible.
void start_console(const BootInfo& boot);
// Everything else: input with interrupts, screen, buses and what sits on them.
void probe_all(const BootInfo& boot);

}  // namespace devices
