// SPDX-License-Identifier: GPL-2.0-or-later
// Feeds arbitrary answers of a DHCP server, and checks what the machine then does with its
// settings.
#include <cstring>

#include "tests/hosted/test_net.h"

namespace {

constexpr usize kHeaders = 14 + 20 + 8, kTransaction = 4, kClientMac = 28, kCookie = 236;

test_net::Card& card() {
  static test_net::Card& the = *[] {
    auto* made = new test_net::Card(1);
    test_net::start();
    ASSERT(net::attach(*made, net::Ipv4Settings{}).has_value());
    return made;
  }();
  return the;
}

void put16(Byte* at, usize value) {
  at[0] = static_cast<Byte>(value >> 8);
  at[1] = static_cast<Byte>(value);
}

// The answer in UDP without a checksum, with the numbers of the question just asked.
std::vector<Byte> answer(std::span<const Byte> body, std::span<const Byte> question) {
  std::vector<Byte> frame(kHeaders + std::max<usize>(body.size(), kCookie + 4));
  Byte* ip = frame.data() + 14;
  std::memset(frame.data(), 0xff, 6);
  put16(frame.data() + 12, 0x0800);
  ip[0] = 0x45, ip[8] = 64, ip[9] = 17;
  put16(ip + 2, frame.size() - 14);
  std::memcpy(ip + 12, "\x0a\0\0\x02\xff\xff\xff\xff", 8);
  u32 sum = 0;
  for (usize i = 0; i < 20; i += 2) sum += ip[i] << 8 | ip[i + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  put16(ip + 10, static_cast<u16>(~sum));
  put16(ip + 20, 67);
  put16(ip + 22, 68);
  put16(ip + 24, frame.size() - 34);
  Byte* bootp = frame.data() + kHeaders;
  std::memcpy(bootp, body.data(), body.size());
  bootp[0] = 2;
  if (question.size() >= kHeaders + kCookie)
    std::memcpy(bootp + kTransaction, question.data() + kHeaders + kTransaction, 4);
  std::memcpy(bootp + kClientMac, "\x02\0\0\0\0\x01", 6);
  std::memcpy(bootp + kCookie, "\x63\x82\x53\x63", 4);
  return frame;
}

}  // namespace

// A run of: two bytes of length, the body of an answer.
extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  test_net::Card& c = card();
  c.set_link(false);
  net::service(c);
  c.set_link(true);
  net::service(c);  // asks anew
  std::vector<Byte> question = c.last_sent();
  std::span<const Byte> input(data, size);
  while (input.size() > 2) {
    usize bytes = std::min<usize>((input[0] << 8 | input[1]) % 1200, input.size() - 2);
    c.deliver(answer(input.subspan(2, bytes), question));
    input = input.subspan(2 + bytes);
    net::service(c);
    if (c.last_sent().size() > kHeaders + kCookie) question = c.last_sent();
    test_net::pass_ms(600);
  }
  return 0;
}
