// SPDX-License-Identifier: GPL-2.0-or-later
// Streams through the whole stack, over wires that lose, repeat and reorder.
#include <cstring>
#include <string>

#include "kernel/base/test.h"
#include "kernel/net/lwip/sockets.h"
#include "tests/hosted/test_net.h"

namespace {

using test_net::Card;
using test_net::Faults;

// Two cards of one machine on one wire: what is sent from the one address arrives at the other.
struct Pair {
  Card near, far;
  net::IpAddress near_address, far_address;

  // `number` makes the network; cards stay attached for ever, so each test has its own.
  Pair(u8 number, u32 mtu)
      : near(static_cast<u8>(2 * number), mtu), far(static_cast<u8>(2 * number + 1), mtu) {
    near_address.bytes = {10, number, 0, 1};
    far_address.bytes = {10, number, 0, 2};
    near.join(far);
    test_net::start();
    for (auto [card, address] : {std::pair{&near, &near_address}, std::pair{&far, &far_address}}) {
      net::Ipv4Settings settings;
      settings.mode = net::Ipv4Settings::Mode::kStatic;
      settings.address = *address;
      settings.prefix = 24;
      ASSERT(net::attach(*card, settings).has_value());
    }
  }
  void set_faults(const Faults& faults) {
    near.set_faults(faults);
    far.set_faults(faults);
  }
  void step() {
    net::service(near);
    net::service(far);
    test_net::pass_ms(5);
  }
};

std::string pattern(usize bytes) {
  std::string text(bytes, 0);
  u32 state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return text;
}

struct Ends {
  base::Owner<net::Listener> listener;
  base::Owner<net::Socket> client, server;
};

Result<Ends> open(Pair& wire, u16 port) {
  Ends ends;
  ends.listener = TRY(net::lwip_network().listen("", port));
  ends.client = TRY(net::connect(wire.far_address, port, &wire.near_address));
  for (u32 i = 0; i < 4000; i++) {
    wire.step();
    Result<base::Owner<net::Socket>> found = ends.listener->accept();
    if (!found.has_value()) continue;
    ends.server = std::move(*found);
    return ends;
  }
  return fail(Errc::kTimeout, "nobody connected");
}

// Everything of `text` from one end to the other, at most `read_bytes` a look.
std::string carry(Pair& wire, net::Socket& from, net::Socket& to, const std::string& text,
                  usize read_bytes) {
  std::string got;
  usize sent = 0;
  char buffer[16384];
  for (u32 i = 0; i < 200'000; i++) {
    while (sent < text.size()) {
      Result<usize> n = from.write(std::string_view(text).substr(sent));
      if (!n.has_value()) break;
      sent += *n;
      if (sent == text.size()) from.shutdown_write();
    }
    wire.step();
    Result<usize> n = to.read({buffer, std::min(read_bytes, sizeof buffer)});
    for (; n.has_value() && *n > 0; n = to.read({buffer, std::min(read_bytes, sizeof buffer)})) {
      got.append(buffer, *n);
      if (read_bytes < 100) break;
    }
    if (n.has_value() && *n == 0) return got;
  }
  return got;
}

void both_ways(TestContext& test, Pair& wire, u16 port, const Faults& faults, usize bytes) {
  wire.set_faults(faults);
  Result<Ends> ends = open(wire, port);
  REQUIRE(ends.has_value());
  std::string text = pattern(bytes);
  EXPECT(carry(wire, *ends->client, *ends->server, text, 16384) == text);
  EXPECT(carry(wire, *ends->server, *ends->client, text, 16384) == text);
  wire.set_faults({});
}

// The stack has room for 16 cards: tests that leave no faults behind share a wire.
Pair& plain_wire() {
  static Pair wire(1, 1500);
  return wire;
}

TEST(net_stack, a_clean_wire) {
  Pair& wire = plain_wire();
  both_ways(test, wire, 8001, {}, 1'000'000);
}

TEST(net_stack, five_percent_lost) {
  static Pair wire(2, 1500);
  both_ways(test, wire, 8002, {.lost_permille = 50}, 300'000);
}

// If the end of a transfer is lost, no later segment shows the loss, and lwIP's timer takes 240 ms.
TEST(net_stack, a_lost_end_is_repeated_soon) {
  Pair& wire = plain_wire();
  Result<Ends> ends = open(wire, 8012);
  REQUIRE(ends.has_value());
  std::string text = pattern(30'000);
  char buffer[16384];
  EXPECT(ends->client->write(text).has_value());
  for (u32 i = 0; i < 200; i++) {
    wire.step();
    while (ends->server->read(buffer).has_value()) {
    }
  }
  wire.near.set_faults({.lost_permille = 1000});
  EXPECT(ends->client->write("the end").has_value());
  wire.step();
  wire.near.set_faults({});
  Result<usize> n = fail(Errc::kBusy, "not yet");
  u32 steps = 0;
  for (; !n.has_value() && steps < 100; steps++) {
    wire.step();
    n = ends->server->read(buffer);
  }
  REQUIRE(n.has_value());
  EXPECT_EQ(std::string_view(buffer, *n), "the end");
  EXPECT(steps * 5 < 150);
}

TEST(net_stack, reordered_and_repeated) {
  static Pair wire(3, 1500);
  both_ways(test, wire, 8003, {.repeated_permille = 100, .reordered_permille = 300}, 300'000);
}

TEST(net_stack, mtu_576_and_9000) {
  static Pair small(4, 576), large(5, 9000);
  both_ways(test, small, 8004, {.lost_permille = 20, .reordered_permille = 50}, 200'000);
  both_ways(test, large, 8005, {.lost_permille = 20, .reordered_permille = 50}, 1'000'000);
}

TEST(net_stack, a_reader_of_single_bytes_fills_the_window) {
  static Pair wire(6, 1500);
  Result<Ends> ends = open(wire, 8006);
  REQUIRE(ends.has_value());
  // More than both buffers hold, so that the window closes and opens again.
  std::string text = pattern(1'600'000);
  usize sent = 0;
  for (u32 i = 0; i < 400; i++) {
    Result<usize> n = ends->client->write(std::string_view(text).substr(sent));
    if (n.has_value()) sent += *n;
    wire.step();
  }
  EXPECT(sent < text.size());
  char one = 0;
  for (u32 i = 0; i < 1000; i++) {
    Result<usize> n = ends->server->read({&one, 1});
    REQUIRE(n.has_value() && *n == 1);
    EXPECT(one == text[i]);
    wire.step();
  }
  std::string rest = carry(wire, *ends->client, *ends->server, text.substr(sent), 16384);
  EXPECT(rest == text.substr(1000));
}

TEST(net_stack, a_full_ring_only_delays) {
  Pair& wire = plain_wire();
  Result<Ends> ends = open(wire, 8007);
  REQUIRE(ends.has_value());
  wire.near.set_room(false);
  EXPECT(ends->client->write("held back").has_value());
  for (u32 i = 0; i < 10; i++) wire.step();
  char text[32];
  EXPECT(!ends->server->read(text).has_value());
  wire.near.set_room(true);
  for (u32 i = 0; i < 4; i++) wire.step();
  Result<usize> n = ends->server->read(text);
  REQUIRE(n.has_value());
  EXPECT_EQ(std::string_view(text, *n), "held back");
}

TEST(net_stack, a_reset_and_a_refusal_are_errors) {
  Pair& wire = plain_wire();
  Result<Ends> ends = open(wire, 8008);
  REQUIRE(ends.has_value());
  EXPECT(ends->client->write("unread").has_value());
  for (u32 i = 0; i < 10; i++) wire.step();
  ends->server.reset();  // with bytes unread: a reset
  for (u32 i = 0; i < 10; i++) wire.step();
  char text[8];
  Result<usize> n = ends->client->read(text);
  EXPECT(!n.has_value() && n.error().code == Errc::kIo);
  Result<base::Owner<net::Socket>> refused = net::connect(wire.far_address, 9, &wire.near_address);
  REQUIRE(refused.has_value());
  for (u32 i = 0; i < 10; i++) wire.step();
  n = (*refused)->read(text);
  EXPECT(!n.has_value() && n.error().code == Errc::kIo);
}

TEST(net_stack, a_port_is_taken_once) {
  test_net::start();
  Result<base::Owner<net::Listener>> first = net::lwip_network().listen("", 8010);
  REQUIRE(first.has_value());
  Result<base::Owner<net::Listener>> second = net::lwip_network().listen("", 8010);
  EXPECT(!second.has_value() && second.error().code == Errc::kBusy);
  first->reset();
  EXPECT(net::lwip_network().listen("", 8010).has_value());
  EXPECT(!net::lwip_network().listen("not an address", 8011).has_value());
}

}  // namespace
