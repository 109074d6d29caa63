// SPDX-License-Identifier: GPL-2.0-or-later
// The API server's identity for TLS: supplied, kept from before, or made now.
#pragma once

#include "kernel/base/format.h"
#include "kernel/net/tls/tls.h"

namespace service {

// Null when tls=off, or when TLS cannot be had; the log says why and shows the fingerprint.
base::Owner<net::tls::Server> open_tls(std::span<const std::string_view> addresses);
// SHA-256 of the certificate: 7e:8e:…
void write_fingerprint(const net::tls::Server& server, base::Writer& out);
// tls=only: nobody is served in plain text. Also when TLS could not be had.
bool tls_required();

}  // namespace service
