// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's address from a router's advertisement (RFC 4862), addresses of names from a name
// server, and the time of day from a time server that is found by its name.
#include <cstring>

#include "kernel/base/test.h"
#include "kernel/net/ntp.h"
#include "kernel/time/wall_clock.h"
#include "tests/hosted/test_net.h"

namespace {

constexpr Byte kNumber = 7;
constexpr usize kIp = 14, kUdp = kIp + 20, kBody = kUdp + 8;
using Frame = std::vector<Byte>;

test_net::Card& card() {
  static test_net::Card& the = *[] {
    auto* made = new test_net::Card(kNumber);
    test_net::start();
    ASSERT(net::attach(*made, *net::parse_settings("10.88.0.1/24,10.88.0.2,10.88.0.2")));
    return made;
  }();
  return the;
}

void put16(Frame& frame, usize at, u32 value) {
  frame[at] = static_cast<Byte>(value >> 8);
  frame[at + 1] = static_cast<Byte>(value);
}

// The prefix 2001:db8:77::/64 for addresses, from fe80::9, to all nodes.
Frame router_advertisement() {
  constexpr Byte kHead[] = {0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60, 0, 0, 0};
  constexpr Byte kAdvertisement[] = {134,  0,    0, 0, 64, 0,  0x07, 0x08, 0,    0,    0, 0,    0,
                                     0,    0,    0, 3, 4,  64, 0xc0, 0,    0x27, 0x8d, 0, 0,    9,
                                     0x3a, 0x80, 0, 0, 0,  0,  0x20, 1,    0x0d, 0xb8, 0, 0x77, 0,
                                     0,    0,    0, 0, 0,  0,  0,    0,    0};
  Frame frame(14 + 40 + sizeof kAdvertisement);
  std::memcpy(frame.data(), kHead, sizeof kHead);
  put16(frame, 18, sizeof kAdvertisement);
  frame[20] = 58, frame[21] = 255;
  frame[22] = 0xfe, frame[23] = 0x80, frame[37] = 9;
  frame[38] = 0xff, frame[39] = 2, frame[53] = 1;
  std::memcpy(frame.data() + 54, kAdvertisement, sizeof kAdvertisement);
  u32 sum = sizeof kAdvertisement + 58;  // RFC 8200, 8.1: addresses, length, next header
  for (usize i = 22; i < frame.size(); i += 2) sum += frame[i] << 8 | frame[i + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  put16(frame, 56, ~sum & 0xffff);
  return frame;
}

std::string interfaces() {
  char text[2048];
  base::BufferWriter out(text);
  net::describe_interfaces(out);
  return std::string(out.view());
}

TEST(net_addresses, a_router_advertises_a_prefix) {
  test_net::Card& c = card();
  EXPECT(interfaces().find("2001:") == std::string::npos);
  c.deliver(router_advertisement());
  for (u32 i = 0; i < 20; i++) {  // RFC 4862, 5.4: it asks first whether somebody has the address
    net::service(c);
    test_net::pass_ms(250);
  }
  std::string text = interfaces();
  for (char& letter : text)
    if (letter >= 'A' && letter <= 'F') letter = static_cast<char>(letter + 32);
  // The card's address 02:00:00:00:00:07 makes the other half (RFC 4291, appendix A).
  EXPECT(text.find("inet6 2001:db8:77::ff:fe00:7\n") != std::string::npos);
}

// The machine's question turned round: its answer comes from where it went.
test_net::Udp back(const Frame& asked) {
  test_net::Udp from{.source = {asked[kIp + 16], asked[kIp + 17], asked[kIp + 18], asked[kIp + 19]},
                     .target = {10, 88, 0, 1}};
  from.source_port = static_cast<u16>(asked[kUdp + 2] << 8 | asked[kUdp + 3]);
  from.target_port = static_cast<u16>(asked[kUdp] << 8 | asked[kUdp + 1]);
  return from;
}

void send_back(const Frame& asked, std::span<const Byte> body) {
  Frame frame = test_net::udp_frame(back(asked), body);
  frame[5] = kNumber;
  card().deliver(frame);
}

// Answers every ARP request with the card 02:00:00:00:00:09.
void answer_arp(const Frame& asked) {
  Frame frame(42);
  std::memcpy(frame.data(), asked.data() + 6, 6);
  std::memcpy(frame.data() + 6, "\x02\0\0\0\0\x09\x08\x06\0\x01\x08\0\x06\x04\0\x02", 16);
  std::memcpy(frame.data() + 22, "\x02\0\0\0\0\x09", 6);
  std::memcpy(frame.data() + 28, asked.data() + 38, 4);
  std::memcpy(frame.data() + 32, asked.data() + 22, 10);
  card().deliver(frame);
}

// Every name has the address 10.88.0.5.
void answer_name(const Frame& asked) {
  Frame body(asked.begin() + kBody, asked.end());
  body[2] = 0x81, body[3] = 0x80;
  put16(body, 6, 1);
  constexpr Byte kAddress[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 88, 0, 5};
  body.insert(body.end(), kAddress, kAddress + sizeof kAddress);
  send_back(asked, body);
}

constexpr u64 kThen = 1'893'456'000;  // 2030-01-01 00:00:00 UTC

Frame time_body(const Frame& asked) {
  Frame body(48);
  body[0] = 0x24, body[1] = 1;                                    // version 4, server; stratum 1
  std::copy_n(asked.begin() + kBody + 40, 8, body.begin() + 24);  // what the question said
  u32 seconds = static_cast<u32>(kThen + 2'208'988'800);          // since 1900 (RFC 4330, 3)
  for (usize at : {32uz, 40uz})
    for (u32 i = 0; i < 4; i++) body[at + i] = static_cast<Byte>(seconds >> (24 - 8 * i));
  return body;
}

// Replies that no server sends that knows the time and saw the question (RFC 4330, 5).
struct BadTime {
  const char* what;
  usize at;
  Byte value;
};
constexpr BadTime kBadTimes[] = {
    {"another question", 24, 0x5a}, {"a clock that is not set", 0, 0xe4},
    {"a client's mode", 0, 0x23},   {"a broadcast", 0, 0x25},
    {"version 0", 0, 0x04},         {"stratum 16", 1, 16},
    {"a delay of 64 s", 5, 64},     {"a dispersion of 64 s", 9, 64},
};

bool told_the_time(test_net::Card& c) {
  net::service(c);
  return timing::unix_time_known();
}

void expect_bad_times_refused(TestContext& test, test_net::Card& c, const Frame& asked) {
  for (const BadTime& bad : kBadTimes) {
    Frame body = time_body(asked);
    body[bad.at] = static_cast<Byte>(body[bad.at] ^ (bad.at == 24 ? bad.value : 0));
    if (bad.at != 24) body[bad.at] = bad.value;
    send_back(asked, body);
    if (told_the_time(c)) test.report(__FILE__, __LINE__, bad.what);
  }
  Frame none = time_body(asked);
  std::fill_n(none.begin() + 40, 8, Byte{0});  // no time at all
  send_back(asked, none);
  EXPECT(!told_the_time(c));
  Frame kiss = time_body(asked);
  kiss[1] = 0, kiss[30] ^= 1;  // of somebody who did not see the question
  send_back(asked, kiss);
  EXPECT(!told_the_time(c));
}

TEST(net_addresses, the_time_of_a_server_that_is_found_by_its_name) {
  test_net::Card& c = card();
  timing::forget_unix_time();
  net::start_ntp();
  u32 names = 0, times = 0;
  Frame seen;
  for (u32 i = 0; i < 200 && times == 0; i++) {
    net::service(c);
    test_net::pass_ms(20);
    if (c.last_sent() == seen || c.last_sent().size() < 42) continue;
    seen = c.last_sent();
    u32 kind = seen[12] << 8 | seen[13], port = seen[kUdp + 2] << 8 | seen[kUdp + 3];
    if (kind == 0x0806 && seen[21] == 1) answer_arp(seen);
    if (kind != 0x0800 || seen[kIp + 9] != 17) continue;
    if (port == 53) names++, answer_name(seen);
    if (port != 123) continue;
    times++;
    expect_bad_times_refused(test, c, seen);
    send_back(seen, time_body(seen));
    EXPECT(told_the_time(c));
    timing::forget_unix_time();  // the same once more is no answer
    send_back(seen, time_body(seen));
    EXPECT(!told_the_time(c));
    timing::set_unix_ns(kThen * 1'000'000'000, timing::Told::kOnce);
  }
  net::service(c);
  EXPECT(names > 0);
  EXPECT_EQ(times, 1u);
  EXPECT(timing::unix_ns() / 1'000'000'000 - kThen < 10);
  EXPECT(!timing::unix_time_confirmed());
  timing::forget_unix_time();
}

}  // namespace
