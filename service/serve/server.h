// SPDX-License-Identifier: GPL-2.0-or-later
// The API server of this machine: its options, its sockets, and the threads that move bytes.
// Functions are for threads of CPU 0; stop_server() sleeps until the threads have ended.
#pragma once

#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace service {

// Starts to listen and to serve, on two threads beside the engine's, until stop_server(). Returns
// kBusy if the server is running.
Result<void> start_server();
void stop_server();
bool server_running();
void describe_server(base::Writer& out);
// Writes the SHA-256 of the server's certificate, or nothing without TLS.
void write_server_fingerprint(base::Writer& out);
u16 server_port();  // 0 if the server is not running

}  // namespace service
