// SPDX-License-Identifier: GPL-2.0-or-later
// Feeds everything that the link may send to the machine's own name, over both versions of IP.
#include <cstring>

#include "kernel/net/mdns.h"
#include "tests/hosted/test_net.h"

namespace {

test_net::Card& card() {
  static test_net::Card& the = *[] {
    auto* made = new test_net::Card(1);
    test_net::start();
    net::start_mdns("marrow");
    ASSERT(net::attach(*made, *net::parse_settings("10.0.0.1/24,10.0.0.2")).has_value());
    for (u32 i = 0; i < 20; i++) {
      net::service(*made);
      test_net::pass_ms(250);  // it asks whether others have the name, then says that it has it
    }
    return made;
  }();
  return the;
}

}  // namespace

// A run of: a byte of flags, two bytes of length, a message.
extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  test_net::Card& c = card();
  std::span<const Byte> input(data, size);
  while (input.size() > 3) {
    Byte flags = input[0];
    usize bytes = std::min<usize>((input[1] << 8 | input[2]) % 1400, input.size() - 3);
    test_net::Udp from{.source = {10, 0, 0, 2},
                       .target = {224, 0, 0, 251},
                       .source_port = 5353,
                       .target_port = 5353};
    if ((flags & 1) != 0) from.target = {10, 0, 0, 1};
    if ((flags & 2) != 0) from.source_port = 40000;     // an old resolver: answered by itself
    if ((flags & 4) != 0) from.source = {10, 0, 0, 1};  // our own address: a copy, or a thief
    c.deliver(test_net::udp_frame(from, input.subspan(3, bytes)));
    input = input.subspan(3 + bytes);
    net::service(c);
    test_net::pass_ms((flags & 8) != 0 ? 1000 : 30);
  }
  test_net::pass_ms(1500);
  return 0;
}
