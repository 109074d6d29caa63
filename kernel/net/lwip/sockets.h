// SPDX-License-Identifier: GPL-2.0-or-later
// net::Network over lwIP, and the list of interfaces.
#pragma once

#include <span>

#include "kernel/net/socket.h"

namespace net {

class Interface;

Network& lwip_network();
std::span<Interface* const> all_interfaces();  // in stack.cpp

}  // namespace net
