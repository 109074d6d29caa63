// SPDX-License-Identifier: GPL-2.0-or-later
// Converts between this kernel's addresses and errors and lwIP's.
#pragma once

#include <lwip/err.h>
#include <lwip/ip_addr.h>

#include <cstring>

#include "kernel/net/settings.h"

namespace net {

inline ip4_addr_t to_lwip4(const IpAddress& address) {
  ip4_addr_t out{};
  std::memcpy(&out.addr, address.bytes.data(), sizeof out.addr);
  return out;
}

inline ip_addr_t to_lwip(const IpAddress& address) {
  ip_addr_t out{};
  if (!address.v6) {
    ip_addr_copy_from_ip4(out, to_lwip4(address));
    return out;
  }
  IP_SET_TYPE(&out, IPADDR_TYPE_V6);
  std::memcpy(ip_2_ip6(&out)->addr, address.bytes.data(), address.bytes.size());
  ip6_addr_set_zone(ip_2_ip6(&out), address.zone);
  return out;
}

inline IpAddress from_lwip(const ip_addr_t& address) {
  IpAddress out;
  out.v6 = IP_IS_V6_VAL(address);
  if (out.v6) {
    std::memcpy(out.bytes.data(), ip_2_ip6(&address)->addr, out.bytes.size());
    out.zone = ip6_addr_zone(ip_2_ip6(&address));
  } else {
    std::memcpy(out.bytes.data(), &ip_2_ip4(&address)->addr, 4);
  }
  return out;
}

// An address as text in the form of RFC 5952. The view is valid as long as the object.
class AddressText {
 public:
  explicit AddressText(const ip_addr_t& address) {
    ipaddr_ntoa_r(&address, text_, sizeof text_);
    for (char* c = text_; *c != 0 && *c != '%'; c++)
      if (*c >= 'A' && *c <= 'F') *c = static_cast<char>(*c - 'A' + 'a');
  }
  std::string_view view() const { return text_; }

 private:
  char text_[IPADDR_STRLEN_MAX] = {};
};

// `error` is a failure, never ERR_OK.
inline Error from_lwip_error(err_t error) {
  switch (error) {
    case ERR_OK:
    case ERR_MEM:
    case ERR_BUF:
      return {Errc::kOutOfMemory, "the network's memory is used up: raise net.memory="};
    case ERR_TIMEOUT:
      return {Errc::kTimeout, "no answer in time"};
    case ERR_RTE:
      return {Errc::kNotFound, "no route to that address"};
    case ERR_USE:
      return {Errc::kBusy, "the port is in use"};
    case ERR_RST:
    case ERR_ABRT:
      return {Errc::kIo, "the connection was reset"};
    case ERR_CLSD:
    case ERR_CONN:
      return {Errc::kIo, "not connected"};
    case ERR_ARG:
    case ERR_VAL:
      return {Errc::kInvalidArgument, "this cannot be done with that address"};
    default:
      return {Errc::kIo, "the network failed"};
  }
}

}  // namespace net
