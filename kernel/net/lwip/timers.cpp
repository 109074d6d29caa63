// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the cyclic timers of lwIP's protocols, each only while its protocol waits for something, and
// the single timeouts that its applications request. lwIP's own timers would run ten times a second
// for ever.
#include "kernel/net/lwip/timers.h"

#include <lwip/autoip.h>
#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/igmp.h>
#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/mld6.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/autoip.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#include <algorithm>

#include "kernel/base/containers.h"
#include "kernel/base/result.h"

namespace net {
namespace {

// Returns true if `a` is before `b` on a 32-bit clock that wraps around.
bool before(u32 a, u32 b) {
  return static_cast<i32>(a - b) < 0;
}

template <class Test>
bool any_netif(Test test) {
  const netif* card = nullptr;
  NETIF_FOREACH(card) {
    if (test(card)) return true;
  }
  return false;
}

template <class Group>
bool a_report_waits(const Group* group) {
  for (; group != nullptr; group = group->next)
    if (group->timer > 0) return true;
  return false;
}

bool tcp_needed() {
  return tcp_active_pcbs != nullptr || tcp_tw_pcbs != nullptr;
}
bool igmp_needed() {
  return any_netif([](const netif* n) { return a_report_waits(netif_igmp_data(n)); });
}
bool mld_needed() {
  return any_netif([](const netif* n) { return a_report_waits(netif_mld6_data(n)); });
}
bool autoip_needed() {
  return any_netif([](const netif* n) {
    const autoip* state = netif_autoip_data(n);
    return state != nullptr && state->state != AUTOIP_STATE_OFF;
  });
}
bool dhcp_needed() {
  return any_netif([](const netif* n) {
    const dhcp* state = netif_dhcp_data(n);
    return state != nullptr && state->request_timeout > 0;
  });
}

// Timers without a test age tables, once a second or less often.
struct Row {
  u32 interval_ms;
  void (*handler)();
  bool (*needed)();
};
constexpr Row kRows[] = {{TCP_TMR_INTERVAL, tcp_tmr, tcp_needed},
                         {IP_TMR_INTERVAL, ip_reass_tmr, nullptr},
                         {ARP_TMR_INTERVAL, etharp_tmr, nullptr},
                         {DHCP_COARSE_TIMER_MSECS, dhcp_coarse_tmr, nullptr},
                         {DHCP_FINE_TIMER_MSECS, dhcp_fine_tmr, dhcp_needed},
                         {AUTOIP_TMR_INTERVAL, autoip_tmr, autoip_needed},
                         {IGMP_TMR_INTERVAL, igmp_tmr, igmp_needed},
                         {DNS_TMR_INTERVAL, dns_tmr, nullptr},
                         {ND6_TMR_INTERVAL, nd6_tmr, nullptr},
                         {IP6_REASS_TMR_INTERVAL, ip6_reass_tmr, nullptr},
                         {MLD6_TMR_INTERVAL, mld6_tmr, mld_needed}};

struct Cyclic {
  bool running = false;
  u32 due_ms = 0;
};
struct Single {
  sys_timeout_handler handler = nullptr;
  void* argument = nullptr;
  u32 due_ms = 0;
};

constinit Cyclic cyclic[std::size(kRows)];
constinit StaticVector<Single, MEMP_NUM_SYS_TIMEOUT> singles;
using Call = void (*)();
constinit Call wake_up = nullptr;

void tell_earlier() {
  if (wake_up != nullptr) wake_up();
}

void start_needed(u32 now) {
  for (usize i = 0; i < std::size(kRows); i++) {
    bool wanted = kRows[i].needed == nullptr || kRows[i].needed();
    if (wanted && !cyclic[i].running) cyclic[i].due_ms = now + kRows[i].interval_ms;
    cyclic[i].running = wanted;
  }
}

// A handler may set and clear timeouts, so the list is searched again after each one.
bool run_one_single(u32 now) {
  for (usize i = 0; i < singles.size(); i++) {
    if (before(now, singles[i].due_ms)) continue;
    Single due = singles[i];
    singles[i] = singles[singles.size() - 1];
    singles.truncate(singles.size() - 1);
    due.handler(due.argument);
    return true;
  }
  return false;
}

}  // namespace

void on_earlier_timer(void (*wake)()) {
  wake_up = wake;
}

}  // namespace net

extern "C" {

void sys_timeouts_init() {
  net::start_needed(sys_now());
}

void tcp_timer_needed() {
  net::tell_earlier();
}

void sys_timeout(u32_t ms, sys_timeout_handler handler, void* argument) {
  // The options count one timeout for each use; lwIP would assert here, too.
  ASSERT(net::singles.push_back({handler, argument, sys_now() + ms}));
  net::tell_earlier();
}

void sys_untimeout(sys_timeout_handler handler, void* argument) {
  for (usize i = 0; i < net::singles.size(); i++) {
    if (net::singles[i].handler != handler || net::singles[i].argument != argument) continue;
    net::singles[i] = net::singles[net::singles.size() - 1];
    net::singles.truncate(net::singles.size() - 1);
    return;
  }
}

void sys_restart_timeouts() {
  u32_t now = sys_now();
  for (net::Cyclic& timer : net::cyclic) timer.due_ms = now;
}

void sys_check_timeouts() {
  u32_t now = sys_now();
  net::start_needed(now);
  for (usize i = 0; i < std::size(net::kRows); i++) {
    net::Cyclic& timer = net::cyclic[i];
    if (!timer.running || net::before(now, timer.due_ms)) continue;
    u32_t interval = net::kRows[i].interval_ms;
    // If it is late by more than a period, the missed periods are skipped.
    timer.due_ms =
        net::before(timer.due_ms + interval, now) ? now + interval : timer.due_ms + interval;
    net::kRows[i].handler();
  }
  while (net::run_one_single(now)) {
  }
}

u32_t sys_timeouts_sleeptime() {
  u32_t now = sys_now();
  net::start_needed(now);
  u32_t wait = SYS_TIMEOUTS_SLEEPTIME_INFINITE;
  auto consider = [&](u32_t due) { wait = std::min(wait, net::before(due, now) ? 0 : due - now); };
  for (const net::Cyclic& timer : net::cyclic)
    if (timer.running) consider(timer.due_ms);
  for (usize i = 0; i < net::singles.size(); i++) consider(net::singles[i].due_ms);
  return wait;
}

}  // extern "C"
