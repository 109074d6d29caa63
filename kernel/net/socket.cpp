// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the network of this machine.
#include "kernel/net/socket.h"

namespace net {
namespace {
constinit Network* the_network = nullptr;
}

Network* network() {
  return the_network;
}

void set_network(Network* network) {
  the_network = network;
}

}  // namespace net
