// SPDX-License-Identifier: GPL-2.0-or-later
// Any frames into the whole TCP/IP stack of a machine that listens on a port.
#include <cstring>

#include "tests/hosted/test_net.h"

namespace {

constexpr usize kEthernet = 14, kMostFrame = 1600;

test_net::Machine& machine() {
  static auto& the = *new test_net::Machine("10.0.0.1/24,10.0.0.2", "", 80);
  return the;
}

u32 sum_words(std::span<const Byte> bytes, u32 sum) {
  for (usize i = 0; i + 1 < bytes.size(); i += 2) sum += bytes[i] << 8 | bytes[i + 1];
  if (bytes.size() % 2 != 0) sum += bytes.back() << 8;
  return sum;
}
u16 fold(u32 sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<u16>(~sum);
}
void put16(Byte* at, u16 value) {
  at[0] = static_cast<Byte>(value >> 8);
  at[1] = static_cast<Byte>(value);
}

// Without this nearly every input would end at a checksum: an IPv4 packet for us whose sums agree.
void make_plausible(std::span<Byte> frame) {
  if (frame.size() < kEthernet + 20) return;
  Byte* ip = frame.data() + kEthernet;
  std::memcpy(frame.data(), "\x02\0\0\0\0\x01", 6);
  put16(frame.data() + 12, 0x0800);
  ip[0] = 0x45;
  usize bytes = frame.size() - kEthernet;
  put16(ip + 2, static_cast<u16>(bytes));
  std::memcpy(ip + 12, "\x0a\0\0\x02\x0a\0\0\x01", 8);
  put16(ip + 10, 0);
  put16(ip + 10, fold(sum_words({ip, 20}, 0)));
  std::span<Byte> body(ip + 20, bytes - 20);
  struct Row {
    Byte protocol;
    usize sum_at;
    bool pseudo;
  };
  for (Row row : {Row{6, 16, true}, Row{17, 6, true}, Row{1, 2, false}}) {
    if (ip[9] != row.protocol || body.size() < row.sum_at + 2) continue;
    put16(body.data() + row.sum_at, 0);
    u32 start =
        row.pseudo ? sum_words({ip + 12, 8}, row.protocol + static_cast<u32>(body.size())) : 0;
    put16(body.data() + row.sum_at, fold(sum_words(body, start)));
  }
}

}  // namespace

// Fragments that wait for others are chained by pointers inside the packets, where they are not
// aligned: the leak detector would not find them there.
extern "C" int __lsan_is_turned_off() {  // NOLINT(bugprone-reserved-identifier)
  return 1;
}

// A run of: a byte of flags, a byte of length / 4 + 1, the frame.
extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  test_net::Machine& m = machine();
  std::span<const Byte> input(data, size);
  while (input.size() > 2) {
    Byte flags = input[0];
    usize bytes = std::min<usize>((input[1] + 1) * 4, input.size() - 2);
    std::vector<Byte> frame(input.begin() + 2, input.begin() + 2 + static_cast<long>(bytes));
    input = input.subspan(2 + bytes);
    if ((flags & 1) != 0) make_plausible(frame);
    if ((flags & 2) != 0) frame.resize(std::min(frame.size() * 4, kMostFrame));
    m.card.deliver(frame);
    net::service(m.card);
    if ((flags & 4) != 0) test_net::pass_ms(300);
    if (Result<base::Owner<net::Socket>> found = m.listener->accept(); found.has_value()) {
      char text[64];
      (void)(*found)->write("hello");
      (void)(*found)->read(text);
    }
  }
  test_net::pass_ms(1000);
  return 0;
}
