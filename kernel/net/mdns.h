// SPDX-License-Identifier: GPL-2.0-or-later
// NAME.local: this machine answers to its name on its own network. RFC 6762.
#pragma once

#include "kernel/dev/net_device.h"

namespace net {

void start_mdns(const char* host_name);  // `host_name` is kept
void announce_mdns(const NetDevice& device);

}  // namespace net
