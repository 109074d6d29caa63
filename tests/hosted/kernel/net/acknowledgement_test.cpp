// SPDX-License-Identifier: GPL-2.0-or-later
// Acknowledgements that need not be sent, because the next one tells the peer as much.
#include "kernel/net/lwip/acknowledgement.h"

#include <initializer_list>
#include <vector>

#include "kernel/base/test.h"

namespace {

struct Segment {
  u32 number = 1000;
  std::initializer_list<net::Block> held = {};
  u16 window = 500;
  u32 sequence = 7;
  u16 port = 80;
  u8 flags = 0x10;
  usize data = 0;
  bool ipv6 = false;
};

class Bytes {
 public:
  void put(u64 value, usize bytes) {
    for (usize i = bytes; i-- > 0;) all_.push_back(static_cast<Byte>(value >> 8 * i));
  }
  std::vector<Byte> take() { return std::move(all_); }

 private:
  std::vector<Byte> all_;
};

std::vector<Byte> frame(const Segment& s) {
  Bytes out;
  usize options = s.held.size() == 0 ? 0 : 4 + 8 * s.held.size(), tcp = 20 + options + s.data;
  out.put(0x020000000001, 6), out.put(0x020000000002, 6);
  if (s.ipv6) {
    out.put(0x86dd, 2), out.put(0x60000000, 4), out.put(tcp, 2), out.put(0x0640, 2);
    for (u64 part : {0xfe80u, 1u, 0xfe80u, 2u}) out.put(part, 8);
  } else {
    out.put(0x0800, 2), out.put(0x4500, 2), out.put(20 + tcp, 2), out.put(0x00010000, 4);
    out.put(0x40060000, 4), out.put(0x0a000001, 4), out.put(0x0a000002, 4);
  }
  out.put(s.port, 2), out.put(5000, 2), out.put(s.sequence, 4), out.put(s.number, 4);
  out.put((20 + options) / 4 << 4, 1), out.put(s.flags, 1), out.put(s.window, 2), out.put(0, 4);
  if (options != 0) out.put(0x0101, 2), out.put(5, 1), out.put(options - 2, 1);
  for (const net::Block& b : s.held) out.put(b.left, 4), out.put(b.right, 4);
  out.put(0, s.data);
  return out.take();
}

TEST(net_acknowledgement, one_further_on_replaces_one) {
  EXPECT(net::supersedes(frame({.number = 2000}), frame({})));
  EXPECT(net::supersedes(frame({.number = 5}), frame({.number = 0xfffffff0})));
  EXPECT(!net::supersedes(frame({}), frame({.number = 2000})));
  EXPECT(net::supersedes(frame({.window = 900}), frame({})));
  EXPECT(net::supersedes(frame({.number = 2000, .ipv6 = true}), frame({.ipv6 = true})));
}

TEST(net_acknowledgement, those_that_are_counted_are_sent) {
  EXPECT(!net::supersedes(frame({}), frame({})));
}

TEST(net_acknowledgement, nothing_held_is_left_untold) {
  net::Block a{2000, 3000}, grown{2000, 4000}, b{5000, 6000}, c{7000, 8000};
  EXPECT(net::supersedes(frame({.held = {grown}}), frame({.held = {a}})));
  EXPECT(net::supersedes(frame({.held = {b, a}}), frame({.held = {a}})));
  EXPECT(!net::supersedes(frame({.held = {b}}), frame({.held = {a}})));
  EXPECT(!net::supersedes(frame({.held = {c, b}}), frame({.held = {a, b}})));
  EXPECT(net::supersedes(frame({.number = 3000, .held = {b}}), frame({.held = {a, b}})));
}

TEST(net_acknowledgement, others_are_left_alone) {
  Segment next{.number = 2000};
  EXPECT(!net::supersedes(frame(next), frame({.port = 81})));
  EXPECT(!net::supersedes(frame(next), frame({.sequence = 6})));  // asks whether we are there
  EXPECT(!net::supersedes(frame(next), frame({.flags = 0x11})));
  EXPECT(!net::supersedes(frame(next), frame({.flags = 0x18})));
  EXPECT(!net::supersedes(frame(next), frame({.data = 1})));
  EXPECT(!net::supersedes(frame(next), frame({.ipv6 = true})));
  EXPECT(!net::is_acknowledgement(frame({.data = 1})));
}

TEST(net_acknowledgement, short_frames_are_none) {
  for (bool ipv6 : {false, true}) {
    std::vector<Byte> whole = frame({.held = {{2000, 3000}}, .ipv6 = ipv6});
    EXPECT(net::is_acknowledgement(whole));
    for (usize size = 0; size < whole.size(); size++)
      EXPECT(!net::is_acknowledgement(std::span(whole).first(size)));
  }
}

}  // namespace
