// SPDX-License-Identifier: GPL-2.0-or-later
// SNTP (RFC 4330) by lwIP: asks on start and every hour; the clock is kernel/time/wall_clock.
#include "kernel/net/ntp.h"

#include <lwip/apps/sntp.h>

#include <algorithm>

#include "kernel/log.h"
#include "kernel/net/lwip/convert.h"
#include "kernel/options.h"

namespace net {
namespace {

constexpr Option kNtp{"ntp", OptionKind::kText, "pool.ntp.org", "SERVER|off",
                      "server for the time of day, where DHCP names none"};
KERNEL_OPTION(kNtp);

constinit char server_name[128] = "";

}  // namespace

void start_ntp() {
  std::string_view server = options::text(kNtp);
  if (server == "off") return;
  std::copy_n(server.data(), std::min(server.size(), sizeof server_name - 1), server_name);
  sntp_setoperatingmode(SNTP_OPMODE_POLL);
  const ip_addr_t* by_dhcp = sntp_getserver(0);
  if (options::given(kNtp) || by_dhcp == nullptr || ip_addr_isany(by_dhcp))
    sntp_setservername(0, server_name);
  sntp_init();
}

std::string_view ntp_server() {
  if (sntp_enabled() == 0) return "";
  const ip_addr_t* address = sntp_getserver(0);
  if (sntp_getservername(0) != nullptr) return server_name;
  static AddressText text(*IP4_ADDR_ANY);
  text = AddressText(*address);
  return text.view();
}

}  // namespace net
