// SPDX-License-Identifier: GPL-2.0-or-later
// Names on the link: a peer asks for marrow.local and gets the machine's address.
#include "kernel/base/test.h"
#include "kernel/net/mdns.h"
#include "tests/hosted/test_net.h"

namespace {

std::span<const Byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

TEST(net_names, a_peer_finds_the_machine_by_mdns) {
  using namespace std::string_view_literals;
  static test_net::Card card(1);
  test_net::start();
  net::start_mdns("marrow");
  REQUIRE(net::attach(card, *net::parse_settings("10.77.0.1/24,10.77.0.2")).has_value());
  for (u32 i = 0; i < 40; i++) {  // RFC 6762, 8: it asks first whether somebody has the name
    net::service(card);
    test_net::pass_ms(250);
  }
  constexpr std::string_view kQuestion =
      "\0\0\0\0\0\x01\0\0\0\0\0\0\x06"
      "marrow\x05local\0\0\x01\0\x01"sv;
  card.deliver(test_net::udp_frame({.source = {10, 77, 0, 9},
                                    .target = {224, 0, 0, 251},
                                    .source_port = 5353,
                                    .target_port = 5353},
                                   bytes_of(kQuestion)));
  std::string answer;
  for (u32 i = 0; i < 20 && answer.find("\x06marrow"sv) == std::string::npos; i++) {
    net::service(card);
    test_net::pass_ms(50);
    const std::vector<Byte>& sent = card.last_sent();
    answer.assign(sent.begin(), sent.end());
  }
  EXPECT(answer.find("\x06marrow\x05local"sv) != std::string::npos);
  EXPECT(answer.find("\x0a\x4d\0\x01"sv, 42) != std::string::npos);  // 10.77.0.1 behind the headers
}

}  // namespace
