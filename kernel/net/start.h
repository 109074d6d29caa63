// SPDX-License-Identifier: GPL-2.0-or-later
// The moment at which the network comes up. The machine's half is start.cpp, the twin's is
// arch/host/devices.cpp: it has the host's network.
#pragma once

namespace net {

// Once, from the boot order, when devices and threads are there. Returns at once; a machine without
// a card goes on without a network.
void start();

}  // namespace net
