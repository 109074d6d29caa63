// SPDX-License-Identifier: GPL-2.0-or-later
// Tells lwIP's mDNS responder which interfaces answer, and under which name.
#include "kernel/net/mdns.h"

#include <lwip/apps/mdns.h>

#include "kernel/log.h"
#include "kernel/net/lwip/interface.h"
#include "kernel/net/lwip/sockets.h"

namespace net {
namespace {

constexpr u32 kTimeToLive = 120;  // seconds, RFC 6762 section 10
constinit const char* name = nullptr;

}  // namespace

void start_mdns(const char* host_name) {
  name = host_name;
  mdns_resp_init();
}

void announce_mdns(const NetDevice& device) {
  if (name == nullptr) return;
  for (Interface* card : all_interfaces()) {
    if (&card->device() != &device) continue;
    // lwIP writes to the interface's state, which is its own.
    auto* state = const_cast<netif*>(&card->state());
    if (mdns_resp_add_netif(state, name, kTimeToLive) != ERR_OK)
      log::warn("net", "{}: no room for the name {}.local", device.name(), name);
  }
}

}  // namespace net
