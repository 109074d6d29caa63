// SPDX-License-Identifier: GPL-2.0-or-later
// Parses the option `net=`.
#include "kernel/net/settings.h"

#include <algorithm>
#include <charconv>

#include "kernel/base/text.h"

namespace net {
namespace {

Result<u32> number(std::string_view text, u32 most) {
  u32 value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most)
    return fail(Errc::kInvalidArgument, "not an address of the form A.B.C.D");
  return value;
}

}  // namespace

Result<IpAddress> parse_ipv4(std::string_view text) {
  IpAddress out;
  if (std::ranges::count(text, '.') != 3)
    return fail(Errc::kInvalidArgument, "not an address of the form A.B.C.D");
  for (usize i = 0; i < 4; i++)
    out.bytes[i] = static_cast<Byte>(TRY(number(base::split_off(text, '.'), 255)));
  return out;
}

Result<Ipv4Settings> parse_settings(std::string_view text) {
  Ipv4Settings out;
  if (text == "dhcp") return out;
  if (text == "off") {
    out.mode = Ipv4Settings::Mode::kOff;
    return out;
  }
  out.mode = Ipv4Settings::Mode::kStatic;
  std::string_view own = base::split_off(text, ',');
  if (own.find('/') == std::string_view::npos)
    return fail(Errc::kInvalidArgument, "an address needs its prefix length: A.B.C.D/24");
  out.address = TRY(parse_ipv4(base::split_off(own, '/')));
  out.prefix = TRY(number(own, 32));
  if (!text.empty()) out.gateway = TRY(parse_ipv4(base::split_off(text, ',')));
  for (IpAddress& server : out.name_servers)
    if (!text.empty()) server = TRY(parse_ipv4(base::split_off(text, ',')));
  if (!text.empty()) return fail(Errc::kInvalidArgument, "more than two name servers");
  return out;
}

}  // namespace net
