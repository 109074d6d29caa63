// SPDX-License-Identifier: GPL-2.0-or-later
// Network addresses as values, without the headers of any protocol.
#pragma once

#include <array>
#include <string_view>

#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace net {

struct IpAddress {
  std::array<Byte, 16> bytes{};  // in network order; IPv4 uses the first four
  bool v6 = false;
  u8 zone = 0;  // for a link-local IPv6 address: the interface's number
  bool operator==(const IpAddress&) const = default;
};

Result<IpAddress> parse_ipv4(std::string_view text);  // "192.0.2.1", four decimal numbers

// The way an interface gets its IPv4 address.
struct Ipv4Settings {
  enum class Mode : u8 { kOff, kDhcp, kStatic };
  Mode mode = Mode::kDhcp;
  IpAddress address, gateway;  // 0.0.0.0 = none
  u32 prefix = 0;
  std::array<IpAddress, 2> name_servers{};
};

// Parses "dhcp", "off" or "A.B.C.D/NN[,GATEWAY[,NAMESERVER[,NAMESERVER]]]".
Result<Ipv4Settings> parse_settings(std::string_view text);

}  // namespace net
