// SPDX-License-Identifier: GPL-2.0-or-later
// Starts TCP/IP on the machine's own cards.
#include "kernel/net/start.h"

#include "kernel/log.h"
#include "kernel/net/stack.h"

namespace net {

void start() {
  Result<void> started = start_stack();
  if (!started.has_value()) log::warn("net", "there is no network: {}", started.error());
}

}  // namespace net
