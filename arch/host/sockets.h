// SPDX-License-Identifier: GPL-2.0-or-later
// The hosted twin's network: the host's own TCP.
#pragma once

#include "kernel/net/socket.h"

namespace host {

net::Network& host_network();

}  // namespace host
