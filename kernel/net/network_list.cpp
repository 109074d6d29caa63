// SPDX-License-Identifier: GPL-2.0-or-later
// Parses addresses and networks.
#include "kernel/net/network_list.h"

#include <algorithm>
#include <charconv>

#include "kernel/base/text.h"

namespace net {
namespace {

constexpr usize kGroups = 8;  // groups of 16 bits in an IPv6 address
constexpr Byte kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::unexpected<Error> no_address() {
  return fail(Errc::kInvalidArgument, "not an IPv4 or IPv6 address");
}

struct Groups {
  u16 values[kGroups];
  usize count = 0;
};

// Parses groups between colons. The last may be an IPv4 address, which counts as two.
Result<void> parse_groups(std::string_view text, Groups& out) {
  while (!text.empty()) {
    std::string_view part = text.substr(0, text.find(':'));
    bool last = part.size() == text.size();
    if (last && part.find('.') != std::string_view::npos) {
      IpAddress v4 = TRY(parse_ipv4(part));
      if (out.count + 2 > kGroups) return no_address();
      out.values[out.count++] = static_cast<u16>(v4.bytes[0] << 8 | v4.bytes[1]);
      out.values[out.count++] = static_cast<u16>(v4.bytes[2] << 8 | v4.bytes[3]);
      return {};
    }
    u16 value = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value, 16);
    if (part.empty() || part.size() > 4 || error != std::errc{} ||
        end != part.data() + part.size() || out.count == kGroups)
      return no_address();
    out.values[out.count++] = value;
    text.remove_prefix(part.size());
    if (last) return {};
    text.remove_prefix(1);
    if (text.empty()) return no_address();
  }
  return {};
}

Result<IpAddress> parse_ipv6(std::string_view text) {
  usize gap = text.find("::");
  Groups head, tail;
  if (gap == std::string_view::npos) {
    TRY(parse_groups(text, head));
    if (head.count != kGroups) return no_address();
  } else {
    TRY(parse_groups(text.substr(0, gap), head));
    TRY(parse_groups(text.substr(gap + 2), tail));
    if (head.count + tail.count >= kGroups) return no_address();
  }
  IpAddress out;
  out.v6 = true;
  auto put = [&](usize group, u16 value) {
    out.bytes[2 * group] = static_cast<Byte>(value >> 8);
    out.bytes[2 * group + 1] = static_cast<Byte>(value);
  };
  for (usize i = 0; i < head.count; i++) put(i, head.values[i]);
  for (usize i = 0; i < tail.count; i++) put(kGroups - tail.count + i, tail.values[i]);
  if (!std::equal(std::begin(kMapped), std::end(kMapped), out.bytes.begin())) return out;
  IpAddress v4;
  std::copy_n(out.bytes.begin() + 12, 4, v4.bytes.begin());
  return v4;
}

bool same_bits(const IpAddress& a, const IpAddress& b, u32 bits) {
  for (u32 i = 0; i < bits; i++) {
    u32 shift = 7 - i % 8;
    if ((a.bytes[i / 8] >> shift & 1) != (b.bytes[i / 8] >> shift & 1)) return false;
  }
  return true;
}

}  // namespace

Result<IpAddress> parse_address(std::string_view text) {
  return text.find(':') == std::string_view::npos ? parse_ipv4(text) : parse_ipv6(text);
}

Result<NetworkList> NetworkList::parse(std::string_view text) {
  NetworkList list;
  while (!text.empty()) {
    std::string_view one = base::split_off(text, ',');
    std::string_view host = one.substr(0, one.find('/'));
    Network network{TRY(parse_address(host)), 0};
    u32 most = network.base.v6 ? 128 : 32;
    network.prefix = most;
    if (host.size() < one.size()) {
      std::string_view digits = one.substr(host.size() + 1);
      auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), network.prefix);
      if (error != std::errc{} || end != digits.data() + digits.size() || network.prefix > most)
        return fail(Errc::kInvalidArgument, "a network is ADDRESS/BITS");
    }
    TRY(list.networks_.push_back(network));
  }
  return list;
}

bool NetworkList::contains(const IpAddress& address) const {
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& n) {
    return n.base.v6 == address.v6 && same_bits(n.base, address, n.prefix);
  });
}

std::string_view host_of(std::string_view peer) {
  return peer.substr(0, peer.rfind(':'));
}

}  // namespace net
