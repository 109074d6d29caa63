// SPDX-License-Identifier: GPL-2.0-or-later
// The host's names of machines, for the twin's network.
#pragma once

#include "kernel/net/socket.h"

namespace host {

// Asks the host's resolver, which blocks, in a thread of its own, while the calling thread of CPU 0
// sleeps. An answer that comes too late is dropped.
Result<net::Addresses> resolve(std::string_view name, u64 deadline_ns);

}  // namespace host
