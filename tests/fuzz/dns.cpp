// SPDX-License-Identifier: GPL-2.0-or-later
// Feeds arbitrary answers of a name server, and of a peer that answers for names on the link.
#include <lwip/dns.h>

#include <cstring>

#include "tests/hosted/test_net.h"

namespace {

constexpr usize kHeaders = 14 + 20 + 8;
constexpr Byte kServerMac[6] = {2, 0, 0, 0, 0, 9};

test_net::Card& card() {
  static test_net::Card& the = *[] {
    auto* made = new test_net::Card(1);
    test_net::start();
    ASSERT(net::attach(*made, *net::parse_settings("10.0.0.1/24,10.0.0.2,10.0.0.2")).has_value());
    return made;
  }();
  return the;
}

// The name server says where it is.
void answer_arp(test_net::Card& c) {
  std::vector<Byte> frame(42);
  std::memcpy(frame.data(), "\x02\0\0\0\0\x01", 6);
  std::memcpy(frame.data() + 6, kServerMac, 6);
  std::memcpy(frame.data() + 12, "\x08\x06\0\x01\x08\0\x06\x04\0\x02", 10);
  std::memcpy(frame.data() + 22, kServerMac, 6);
  std::memcpy(frame.data() + 28, "\x0a\0\0\x02\x02\0\0\0\0\x01\x0a\0\0\x01", 14);
  c.deliver(frame);
  net::service(c);
}

void on_answer(const char*, const ip_addr_t*, void*) {}

}  // namespace

// The first byte chooses a name; then a run of: two bytes of length, what follows the header of an
// answer, whose number and ports are those of the question.
extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  constexpr const char* kNames[] = {"example.org", "marrow.local", "a.b", "x"};
  if (size < 3) return 0;
  test_net::Card& c = card();
  ip_addr_t found;
  (void)dns_gethostbyname(kNames[data[0] % 4], &found, on_answer, nullptr);
  net::service(c);
  answer_arp(c);
  std::span<const Byte> input(data + 1, size - 1);
  while (input.size() > 2) {
    usize bytes = std::min<usize>((input[0] << 8 | input[1]) % 1200, input.size() - 2);
    std::span<const Byte> body = input.subspan(2, bytes);
    const std::vector<Byte>& question = c.last_sent();
    test_net::Udp from{.source = {10, 0, 0, 2}, .target = {10, 0, 0, 1}, .source_port = 53};
    std::vector<Byte> answer(body.begin(), body.end());
    if (question.size() >= kHeaders + 12) {
      const Byte* udp = question.data() + 34;
      from.target_port = static_cast<u16>(udp[0] << 8 | udp[1]);
      if ((udp[2] << 8 | udp[3]) == 5353) from.source_port = 5353;
      // Its number, its flags, and the question as it was asked.
      answer.insert(answer.begin(), question.begin() + kHeaders, question.end());
      if (answer.size() > 7 && bytes > 2) {
        answer[2] = 0x81;
        answer[6] = body[0];
        answer[7] = body[1];
      }
    }
    c.deliver(test_net::udp_frame(from, answer));
    input = input.subspan(2 + bytes);
    net::service(c);
    test_net::pass_ms(400);
  }
  test_net::pass_ms(20'000);  // the question is given up
  return 0;
}
