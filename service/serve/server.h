// SPDX-License-Identifier: GPL-2.0-or-later
// The API server of this machine: options, sockets, and the threads that move them.
#pragma once

#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace service {

// Listens and serves in three threads until stop_server(). kBusy when it runs already.
Result<void> start_server();
void stop_server();
bool server_running();
void describe_server(base::Writer& out);
void write_server_fingerprint(base::Writer& out);  // of its certificate; nothing without TLS
u16 server_port();                                 // 0 when it does not run

}  // namespace service
