// SPDX-License-Identifier: GPL-2.0-or-later
// Gets the time of day from the network: from servers that DHCP names, or from the option ntp=.
#pragma once

#include <string_view>

namespace net {

void start_ntp();               // called once the machine has an address
std::string_view ntp_server();  // "" if no server is asked

}  // namespace net
