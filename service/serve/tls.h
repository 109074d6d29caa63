// SPDX-License-Identifier: GPL-2.0-or-later
// The API server's TLS identity: supplied by an option, kept from an earlier start, or made now.
#pragma once

#include "kernel/base/format.h"
#include "kernel/net/tls/tls.h"

namespace service {

// Returns null if tls=off or if TLS could not be started. The log has the reason, or the
// fingerprint. Waits for disks.
base::Owner<net::tls::Server> open_tls(std::span<const std::string_view> addresses);
// Writes the SHA-256 of the certificate as 7e:8e:…
void write_fingerprint(const net::tls::Server& server, base::Writer& out);
// Returns true for tls=only: no request in plain text is served, even if TLS could not be started.
bool tls_required();

}  // namespace service
