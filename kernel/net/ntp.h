// SPDX-License-Identifier: GPL-2.0-or-later
// The time of day from the network: servers that DHCP names, or the option ntp=.
#pragma once

#include <string_view>

namespace net {

void start_ntp();               // once the machine has an address
std::string_view ntp_server();  // "" when none is asked

}  // namespace net
