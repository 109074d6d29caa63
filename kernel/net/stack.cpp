// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the threads and interfaces of the TCP/IP stack.
#include "kernel/net/stack.h"

#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/timeouts.h>

#include <algorithm>

#include "kernel/base/containers.h"
#include "kernel/crypto/random.h"
#include "kernel/dev/registry.h"
#include "kernel/log.h"
#include "kernel/net/lwip/convert.h"
#include "kernel/net/lwip/interface.h"
#include "kernel/net/lwip/port.h"
#include "kernel/net/lwip/sockets.h"
#include "kernel/net/lwip/timers.h"
#include "kernel/net/mdns.h"
#include "kernel/net/ntp.h"
#include "kernel/options.h"
#include "kernel/time/clock.h"

namespace net {
namespace {

constexpr Option kNet{"net", OptionKind::kText, "dhcp", "dhcp|off|A.B.C.D/NN[,GATEWAY[,DNS]]",
                      "how the first network card gets its address; others use dhcp"};
constexpr Option kMemory{"net.memory", OptionKind::kNumber, "32", "2..1024",
                         "MiB for packet buffers"};
constexpr Option kHostName{"hostname", OptionKind::kText, "marrow", "NAME",
                           "this machine's name: NAME.local on its network"};
KERNEL_OPTION(kNet);
KERNEL_OPTION(kMemory);
KERNEL_OPTION(kHostName);

constexpr u64 kNsPerMs = 1'000'000;
// New cards and changed links are noticed within this time: at first, and later.
constexpr u64 kLookNs = 250 * kNsPerMs, kCalmLookNs = 1000 * kNsPerMs;
constexpr u64 kStartNs = 30'000 * kNsPerMs;
constexpr usize kStackBytes = 128 * 1024;

constinit bool initialized = false;
constinit bool running = false;
constinit sched::WaitQueue earlier_timer;
constinit StaticVector<Interface*, 16> interfaces;  // never removed, as their devices
constinit char host_name[64] = "marrow";

Interface* interface_of(const NetDevice& device) {
  for (Interface* i : interfaces)
    if (&i->device() == &device) return i;
  return nullptr;
}

void run_card(void* argument) {
  auto& card = *static_cast<Interface*>(argument);
  for (;;) {
    if (card.service())
      sched::yield();
    else
      card.device().events().wait();
  }
}

// Logs once that a card cannot be used, and ignores that card from then on.
void take_new_cards(const Ipv4Settings& first, usize& seen) {
  for (; seen < devices::nets().size(); seen++) {
    NetDevice& device = *devices::nets()[seen];
    Result<void> attached = attach(device, seen == 0 ? first : Ipv4Settings{});
    if (!attached.has_value()) {
      log::warn("net", "{}: {}", device.name(), attached.error());
      continue;
    }
    Result<sched::Thread*> thread =
        sched::spawn(device.name(), run_card, interface_of(device), kStackBytes);
    if (!thread.has_value()) log::warn("net", "{}: {}", device.name(), thread.error());
  }
}

bool has_address() {
  return std::ranges::any_of(interfaces.view(), [](const Interface* i) {
    return netif_is_link_up(&i->state()) != 0 && !ip4_addr_isany_val(*netif_ip4_addr(&i->state()));
  });
}

void run_stack(void*) {
  Result<Ipv4Settings> chosen = parse_settings(options::text(kNet));
  if (!chosen.has_value()) log::warn("net", "net={}: {}", options::text(kNet), chosen.error());
  Ipv4Settings first = chosen.value_or(Ipv4Settings{});
  usize seen = 0;
  u64 next_look = 0;
  bool clock_asked = false;
  for (;;) {
    u64 now = timing::now_ns();
    if (now >= next_look) {
      next_look = now + (now < kStartNs ? kLookNs : kCalmLookNs);
      take_new_cards(first, seen);
      for (Interface* card : interfaces) card->check_link();
      if (!clock_asked && has_address()) {
        clock_asked = true;
        start_ntp();
      }
    }
    u64 timers = run_timers();
    earlier_timer.wait(std::min(timing::now_ns() + timers, next_look));
  }
}

}  // namespace

Result<void> start_stack() {
  if (options::text(kNet) == "off")
    return fail(Errc::kNotFound, "the network is switched off by net=off");
  std::string_view name = options::text(kHostName);
  usize size = std::min(name.size(), sizeof host_name - 1);
  std::copy_n(name.data(), size, host_name);
  host_name[size] = '\0';
  if (!crypto::random_is_secret())
    log::warn("net", "this machine has no random numbers: sequence numbers can be guessed");
  std::array<u64, 4> seed{};
  for (u64& word : seed) word = crypto::random_u64();
  TRY(init_stack({.seed = seed, .memory_bytes = options::number(kMemory) * kMiB}));
  on_earlier_timer([] { earlier_timer.wake_all(); });
  start_mdns(host_name);
  TRY(sched::spawn("net", run_stack, nullptr, kStackBytes));
  running = true;
  set_network(&lwip_network());
  return {};
}

std::string_view machine_name() {
  return options::text(kHostName);
}

bool stack_running() {
  return running;
}

Result<void> init_stack(const StackParts& parts) {
  if (initialized) return fail(Errc::kBusy, "the network runs already");
  initialized = true;
  port::init({.seed = parts.seed,
              .memory_bytes = parts.memory_bytes,
              .memory = {parts.allocate, parts.free},
              .now_ns = parts.now_ns});
  lwip_init();
  return {};
}

Result<void> attach(NetDevice& device, const Ipv4Settings& settings) {
  base::Owner<Interface> made = TRY(base::make<Interface>(device));
  if (!interfaces.push_back(made.get())) return fail(Errc::kFull, "too many network cards");
  Interface* card = made.release();
  TRY(card->open(settings, host_name));
  announce_mdns(card->device());
  return {};
}

bool service(NetDevice& device) {
  Interface* card = interface_of(device);
  bool more = card != nullptr && card->service();
  netif_poll_all();  // what was sent to one of this machine's own addresses
  return more;
}

u64 run_timers() {
  SendTogether together;
  sys_check_timeouts();
  netif_poll_all();
  u32 wait_ms = sys_timeouts_sleeptime();
  return wait_ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? kLookNs : wait_ms * kNsPerMs;
}

std::span<Interface* const> all_interfaces() {
  return interfaces.view();
}

}  // namespace net
