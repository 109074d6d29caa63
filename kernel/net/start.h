// SPDX-License-Identifier: GPL-2.0-or-later
// Starts the network. start.cpp implements it for the machine, arch/host/devices.cpp for the twin,
// which uses the host's network.
#pragma once

namespace net {

// Called once, from the boot order, when devices and threads exist. Returns at once. A machine
// without a card continues without a network.
void start();

}  // namespace net
