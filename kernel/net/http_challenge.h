// SPDX-License-Identifier: GPL-2.0-or-later
// The header WWW-Authenticate as registries of containers and models use it (RFC 9110, 11.6.1; RFC
// 6750, 3): who gives the token that a server wants, and where it may be asked for. Allocates.
#pragma once

#include "kernel/net/url.h"

namespace net {

struct BearerChallenge {
  String realm;  // the address of the token server
  String service, scope;
};

// Finds the challenge "Bearer" in a header. Returns kNotFound if there is none, kCorrupt if the
// header is malformed or the challenge names no realm, or anything twice.
Result<BearerChallenge> parse_bearer(std::string_view header);

// Returns the address to ask for the token: the realm with service and scope in its query. The
// realm must be https, or a server without https may name its own host: another one could otherwise
// be asked in the clear for what the registry then believes. Returns kPermission for others.
Result<String> token_address(const BearerChallenge& challenge, const Url& server);

}  // namespace net
