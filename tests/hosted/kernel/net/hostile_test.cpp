// SPDX-License-Identifier: GPL-2.0-or-later
// Packets of the kinds that have broken other TCP/IP stacks: lengths of zero, endless chains,
// overlapping fragments, predictable numbers. The stack must survive each of them and then answer a
// ping.
#include <cstring>
#include <set>

#include "kernel/base/test.h"
#include "tests/hosted/test_net.h"

namespace {

using Bytes = std::vector<Byte>;
constexpr Byte kTcp = 6, kUdp = 17, kIcmp = 1;
constexpr Byte kOwn[4] = {10, 88, 0, 1}, kPeer[4] = {10, 88, 0, 2};

using test_net::Machine;

Machine& machine() {
  static Machine& the = *[] {
    auto* made = new Machine("10.88.0.1/24,10.88.0.2", "10.88.0.1", 8088);
    for (u32 i = 0; i < 20; i++) {  // until its IPv6 address is its own
      net::service(made->card);
      test_net::pass_ms(250);
    }
    return made;
  }();
  return the;
}

void put16(Bytes& to, usize at, u32 value) {
  to[at] = static_cast<Byte>(value >> 8);
  to[at + 1] = static_cast<Byte>(value);
}

u16 checksum(std::span<const Byte> bytes, u32 sum = 0) {
  for (usize i = 0; i + 1 < bytes.size(); i += 2) sum += bytes[i] << 8 | bytes[i + 1];
  if (bytes.size() % 2 != 0) sum += bytes.back() << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<u16>(~sum);
}

// An IPv4 packet whose sums are right; `fragment` is the field of flags and offset.
Bytes packet(Byte protocol, Bytes body, u32 fragment = 0, const Bytes& options = {}) {
  usize head = 20 + options.size();
  u32 pseudo = protocol + static_cast<u32>(body.size());
  for (const Byte* a : {kOwn, kPeer}) pseudo += (a[0] << 8 | a[1]) + (a[2] << 8 | a[3]);
  if (protocol == kTcp && fragment == 0) put16(body, 16, checksum(body, pseudo));
  if (protocol == kIcmp && fragment == 0) put16(body, 2, checksum(body));
  Bytes frame(14 + head);
  std::memcpy(frame.data(), "\x02\0\0\0\0\x01\x02\0\0\0\0\x09\x08\0", 14);
  frame[14] = static_cast<Byte>(0x40 | head / 4);
  put16(frame, 16, static_cast<u32>(head + body.size()));
  put16(frame, 18, 77);
  put16(frame, 20, fragment);
  frame[22] = 64;
  frame[23] = protocol;
  std::copy_n(kPeer, 4, frame.begin() + 26);
  std::copy_n(kOwn, 4, frame.begin() + 30);
  std::copy(options.begin(), options.end(), frame.begin() + 34);
  put16(frame, 24, checksum({frame.data() + 14, head}));
  frame.insert(frame.end(), body.begin(), body.end());
  return frame;
}

// A SYN for the listener with these options, whose bytes are a multiple of four.
Bytes syn(u16 port, const Bytes& options, Byte flags = 2, u32 urgent = 0) {
  Bytes body(20);
  put16(body, 0, port);
  put16(body, 2, 8088);
  body[7] = 9;
  body[12] = static_cast<Byte>((20 + options.size()) / 4 << 4);
  body[13] = flags;
  put16(body, 14, 4096);
  put16(body, 18, urgent);
  body.insert(body.end(), options.begin(), options.end());
  return body;
}

void deliver(const Bytes& frame) {
  machine().card.deliver(frame);
  net::service(machine().card);
  test_net::pass_ms(50);
}

bool answers_ping() {
  Bytes echo = {8, 0, 0, 0, 0x12, 0x34, 0, 1, 'h', 'i'};
  deliver(packet(kIcmp, echo));
  for (u32 i = 0; i < 20; i++) {
    const Bytes& sent = machine().card.last_sent();
    if (sent.size() >= 44 && sent[12] == 8 && sent[13] == 0 && sent[23] == kIcmp && sent[34] == 0)
      return true;
    // The first answer waits for the peer's address.
    Bytes arp(42);
    std::memcpy(arp.data(), "\x02\0\0\0\0\x01\x02\0\0\0\0\x09\x08\x06\0\x01\x08\0\x06\x04\0\x02",
                22);
    std::memcpy(arp.data() + 22, "\x02\0\0\0\0\x09\x0a\x58\0\x02\x02\0\0\0\0\x01\x0a\x58\0\x01",
                20);
    deliver(arp);
  }
  return false;
}

}  // namespace

TEST(net_hostile, options_of_length_nothing) {
  for (const Bytes& options :
       {Bytes{5, 0, 5, 0}, Bytes{2, 0, 0, 0}, Bytes{3, 1, 1, 1}, Bytes{254, 0, 0, 0},
        Bytes{2, 255, 5, 0}, Bytes{8, 10, 0, 0}, Bytes{4, 1, 4, 1}, Bytes(40, 1), Bytes(40, 255)}) {
    deliver(packet(kTcp, syn(4000, options)));
    deliver(packet(kTcp, syn(4000, {}), 0, options));  // and as options of IP
  }
  Bytes short_header = syn(4001, {});
  for (Byte words : {0, 1, 4, 15}) {
    short_header[12] = static_cast<Byte>(words << 4);
    deliver(packet(kTcp, short_header));
  }
  EXPECT(answers_ping());
}

TEST(net_hostile, urgent_data_that_is_not_there) {
  for (u32 urgent : {1u, 0x7fffu, 0xffffu})
    for (Byte flags : {0x22, 0x30, 0x38, 0x3f}) deliver(packet(kTcp, syn(4002, {}, flags, urgent)));
  EXPECT(answers_ping());
}

TEST(net_hostile, fragments_over_fragments) {
  constexpr u32 kMore = 0x2000;
  for (u32 round = 0; round < 40; round++) {
    Bytes part(64, static_cast<Byte>(round));
    deliver(packet(kUdp, part, kMore | 0));
    deliver(packet(kUdp, part, kMore | 4));                              // over the first
    deliver(packet(kUdp, part, kMore | 8190));                           // past 64 KiB
    deliver(packet(kUdp, {part.begin(), part.begin() + 3}, kMore | 1));  // no multiple of eight
    deliver(packet(kUdp, part, 0x1fff));
    deliver(packet(kUdp, part, 2));
  }
  test_net::pass_ms(60'000);
  EXPECT(answers_ping());
}

TEST(net_hostile, chains_of_ipv6_headers) {
  Bytes frame(14 + 40);
  std::memcpy(frame.data(), "\x33\x33\0\0\0\x01\x02\0\0\0\0\x09\x86\xdd\x60", 15);
  frame[20] = 0;  // a hop-by-hop header follows
  frame[21] = 255;
  std::memcpy(frame.data() + 22, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x09", 16);
  std::memcpy(frame.data() + 38, "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
  for (Byte kind : {0, 43, 44, 60}) {     // hop-by-hop, routing, fragment, destination options
    for (Byte option : {0, 1, 5, 194}) {  // padding, router alert, jumbo: with lengths of nothing
      Bytes chain = frame;
      chain[20] = kind;
      for (u32 i = 0; i < 150; i++)
        chain.insert(chain.end(), {kind, 0, option, 0, option, 0, 0, 0});
      put16(chain, 18, static_cast<u32>(chain.size() - 54));
      deliver(chain);
      put16(chain, 18, 0xffff);
      deliver(chain);
      chain[55] = 255;  // a header longer than its packet
      deliver(chain);
    }
  }
  EXPECT(answers_ping());
}

// Errors that cannot be answered because the card's own addresses are not yet known to be its own.
TEST(net_hostile, options_nobody_knows_before_there_is_an_address) {
  static test_net::Card fresh(99);
  test_net::start();
  REQUIRE(net::attach(fresh, *net::parse_settings("10.99.0.1/24,10.99.0.2")).has_value());
  Bytes frame(14 + 40 + 8);
  std::memcpy(frame.data(), "\x33\x33\0\0\0\x01\x02\0\0\0\0\x09\x86\xdd\x60", 15);
  put16(frame, 18, 8);
  std::memcpy(frame.data() + 22, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x09", 16);
  std::memcpy(frame.data() + 38, "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
  for (Byte kind : {0, 60, 43, 99}) {
    for (Byte option : {0x80, 0xc0, 0xbe}) {  // RFC 8200, 4.2: to be answered
      frame[20] = kind;
      frame[54] = 59;
      frame[56] = option;
      fresh.deliver(frame);
      net::service(fresh);
    }
  }
  bool answered = fresh.last_sent().size() > 54 && fresh.last_sent()[54] < 128;
  EXPECT(!answered);
}

// RFC 6528: the first numbers of connections tell nothing about those of others.
TEST(net_hostile, first_numbers_of_connections_differ_without_a_pattern) {
  REQUIRE(answers_ping());  // the peer's address is known
  std::set<u32> numbers, steps;
  u32 before = 0, answered = 0;  // now and then something else was sent last
  constexpr u32 kConnections = 400;
  for (u32 i = 0; i < kConnections; i++) {
    deliver(packet(kTcp, syn(static_cast<u16>(20'000 + i), {})));
    const Bytes& sent = machine().card.last_sent();
    if (sent.size() < 54 || sent[23] != kTcp || (sent[47] & 0x12) != 0x12) continue;
    if ((sent[36] << 8 | sent[37]) != static_cast<int>(20'000 + i)) continue;
    answered++;
    u32 number = u32{sent[38]} << 24 | u32{sent[39]} << 16 | u32{sent[40]} << 8 | sent[41];
    numbers.insert(number);
    steps.insert(number - before);
    before = number;
    Bytes end = syn(static_cast<u16>(20'000 + i), {}, 4);
    end[7] = 10;
    deliver(packet(kTcp, end));
  }
  EXPECT(answered > kConnections / 2);
  EXPECT_EQ(numbers.size(), usize{answered});
  EXPECT(steps.size() + 2 > answered);
}
