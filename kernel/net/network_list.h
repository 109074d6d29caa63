// SPDX-License-Identifier: GPL-2.0-or-later
// A list of networks: "10.0.0.0/8,192.0.2.7,fe80::/10".
#pragma once

#include "kernel/base/containers.h"
#include "kernel/net/settings.h"

namespace net {

// Parses IPv4, or IPv6 of RFC 4291 section 2.2. "::ffff:192.0.2.1" gives the IPv4 address in it.
// Zones are refused.
Result<IpAddress> parse_address(std::string_view text);

class NetworkList {
 public:
  static Result<NetworkList> parse(std::string_view text);
  bool empty() const { return networks_.empty(); }
  bool contains(const IpAddress& address) const;

 private:
  struct Network {
    IpAddress base;
    u32 prefix;
  };
  Vector<Network> networks_;
};

// Returns the address in "192.0.2.1:51234" or "2001:db8::1:51234", as Socket::peer() writes them.
std::string_view host_of(std::string_view peer);

}  // namespace net
