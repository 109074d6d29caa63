// SPDX-License-Identifier: GPL-2.0-or-later
// Moves frames between a NetDevice and lwIP, with one copy in each direction.
#include "kernel/net/lwip/interface.h"

#include <lwip/autoip.h>
#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/nd6.h>
#include <netif/ethernet.h>

#include <algorithm>
#include <utility>

#include "kernel/log.h"
#include "kernel/net/lwip/acknowledgement.h"
#include "kernel/net/lwip/convert.h"
#include "kernel/net/lwip/port.h"
#include "kernel/net/lwip/sockets.h"

namespace net {
namespace {

constexpr u32 kBudget = 64;              // frames in one turn, after which other threads run
constexpr u64 kCalmNs = 10'000'000'000;  // pause after a loss
constexpr usize kMostFrame = 9 * 1024 + 64;
// On a wire a frame has at least 60 bytes before its checksum (IEEE 802.3, 3.2.8). Virtual cards
// omit the padding, while lwIP reads a whole IP header before it looks at the packet's length.
constexpr usize kLeastFrame = 60;
constinit u64 joins_from_ns = 0;
Byte flat_frame[kMostFrame];  // shared: threads of one CPU do not yield while it is in use

u32 prefix_of(const ip4_addr_t& mask) {
  return static_cast<u32>(std::popcount(mask.addr));
}

}  // namespace

err_t Interface::setup(netif* card) {
  auto& self = *static_cast<Interface*>(card->state);
  MacAddress mac = self.device_.mac();
  card->name[0] = 'e', card->name[1] = 'n';
  card->hwaddr_len = static_cast<u8>(mac.size());
  std::memcpy(card->hwaddr, mac.data(), mac.size());
  card->mtu = static_cast<u16>(std::min<u32>(self.device_.mtu(), 9000));
  card->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP |
                NETIF_FLAG_MLD6;
  card->output = etharp_output;
  card->output_ip6 = ethip6_output;
  card->linkoutput = link_output;
  return ERR_OK;
}

Result<void> Interface::open(const Ipv4Settings& settings, const char* host_name) {
  settings_ = settings;
  if (netif_add(&netif_, nullptr, nullptr, nullptr, this, setup, ethernet_input) == nullptr)
    return fail(Errc::kFull, "too many network interfaces");
  netif_set_hostname(&netif_, host_name);
  netif_set_status_callback(
      &netif_, [](netif* card) { static_cast<Interface*>(card->state)->on_address_change(); });
  if (netif_default == nullptr) netif_set_default(&netif_);
  netif_create_ip6_linklocal_address(&netif_, 1);
  netif_set_ip6_autoconfig_enabled(&netif_, 1);
  netif_set_up(&netif_);
  if (settings_.mode == Ipv4Settings::Mode::kDhcp) {
    err_t error = dhcp_start(&netif_);
    if (error != ERR_OK) return std::unexpected(from_lwip_error(error));
  } else if (settings_.mode == Ipv4Settings::Mode::kStatic) {
    ip4_addr_t own = to_lwip4(settings_.address), gateway = to_lwip4(settings_.gateway);
    u64 bits = settings_.prefix == 0 ? 0 : 0xffffffffu << (32 - settings_.prefix);
    ip4_addr_t mask{lwip_htonl(static_cast<u32>(bits))};
    for (usize i = 0; i < settings_.name_servers.size(); i++) {
      ip_addr_t server = to_lwip(settings_.name_servers[i]);
      if (!ip_addr_isany_val(server)) dns_setserver(static_cast<u8>(i), &server);
    }
    netif_set_addr(&netif_, &own, &mask, &gateway);
  }
  check_link();  // last, because a link that comes up starts what was requested above
  return {};
}

void Interface::check_link() {
  bool up = device_.link_up();
  if (up == (netif_is_link_up(&netif_) != 0)) return;
  log::info("net", "{}: link {}", device_.name(), up ? "up" : "down");
  if (up) {
    netif_set_link_up(&netif_);
  } else {
    netif_set_link_down(&netif_);
  }
}

void Interface::on_address_change() {
  ip_addr_t own = *netif_ip_addr4(&netif_);
  IpAddress now = from_lwip(own);
  if (now == told_) return;
  told_ = now;
  if (ip_addr_isany_val(own)) {
    log::info("net", "{}: no IPv4 address any more", device_.name());
    return;
  }
  const char* how = settings_.mode == Ipv4Settings::Mode::kStatic ? "by option"
                    : dhcp_supplied_address(&netif_) != 0         ? "by DHCP"
                                                                  : "chosen here: no DHCP server";
  AddressText address(own), gateway(*netif_ip_gw4(&netif_));
  log::info("net", "{}: {}/{} {}, gateway {}", device_.name(), address.view(),
            prefix_of(*netif_ip4_netmask(&netif_)), how, gateway.view());
}

// ---- frames ---------------------------------------------------------------------------------

void Interface::on_frame(std::span<const Byte> frame) {
  if (frame.size() < sizeof(eth_hdr) || frame.size() > kMostFrame) return;
  usize size = std::max(frame.size(), kLeastFrame);
  pbuf* packet = pbuf_alloc(PBUF_RAW, static_cast<u16>(size), PBUF_RAM);
  if (packet == nullptr) {
    refused_++;
    return;
  }
  auto* bytes = static_cast<Byte*>(packet->payload);
  std::memcpy(bytes, frame.data(), frame.size());
  std::memset(bytes + frame.size(), 0, size - frame.size());
  if (netif_.input(packet, &netif_) != ERR_OK) pbuf_free(packet);
}

Result<void> Interface::send(pbuf& packet) {
  std::span<const Byte> frame(static_cast<const Byte*>(packet.payload), packet.len);
  if (packet.len != packet.tot_len) {
    if (packet.tot_len > kMostFrame) return fail(Errc::kOutOfRange, "the frame is too large");
    frame = {flat_frame, pbuf_copy_partial(&packet, flat_frame, packet.tot_len, 0)};
  }
  return device_.transmit(frame);
}

// If the ring is full, a copy waits: the packet itself still belongs to its protocol.
err_t Interface::send_or_wait(pbuf& packet) {
  if (waiting_count_ == 0) {
    Result<void> sent = send(packet);
    if (sent.has_value()) return ERR_OK;
    if (sent.error().code != Errc::kBusy) return ERR_IF;
  }
  pbuf* copy = waiting_count_ < kWaiting ? pbuf_clone(PBUF_RAW, PBUF_RAM, &packet) : nullptr;
  if (copy == nullptr) {
    refused_++;
    return ERR_MEM;
  }
  waiting_[(first_waiting_ + waiting_count_++) % kWaiting] = copy;
  return ERR_OK;
}

err_t Interface::link_output(netif* card, pbuf* packet) {
  auto& self = *static_cast<Interface*>(card->state);
  std::span<const Byte> frame(static_cast<const Byte*>(packet->payload), packet->len);
  bool keep = self.held_ > 0 && packet->len == packet->tot_len && is_acknowledgement(frame);
  if (keep && self.kept_ != nullptr && self.spared_ < kMostSpared) {
    std::span<const Byte> older(static_cast<const Byte*>(self.kept_->payload), self.kept_->len);
    if (supersedes(frame, older)) {
      pbuf_free(std::exchange(self.kept_, nullptr));
      self.spared_++;
    }
  }
  self.send_kept();
  if (!keep) return self.send_or_wait(*packet);
  pbuf_ref(packet);
  self.kept_ = packet;
  return ERR_OK;
}

void Interface::send_kept() {
  if (kept_ == nullptr) return;
  pbuf* packet = std::exchange(kept_, nullptr);
  spared_ = 0;
  (void)send_or_wait(*packet);  // if it finds no room, that is like a loss on the way
  pbuf_free(packet);
}

void Interface::hold(bool may_join) {
  held_++;
  device_.hold(may_join);
}
void Interface::release() {
  if (--held_ == 0) send_kept();
  device_.release();
}

void Interface::send_waiting() {
  while (waiting_count_ > 0) {
    pbuf* packet = waiting_[first_waiting_];
    Result<void> sent = send(*packet);
    if (!sent.has_value() && sent.error().code == Errc::kBusy) return;
    pbuf_free(packet);
    first_waiting_ = (first_waiting_ + 1) % kWaiting;
    waiting_count_--;
  }
}

// A burst that the card cuts apart may be lost as a whole, because some emulated cards (QEMU before
// 8.1) make IP fragments of it. After a loss every frame is therefore sent on its own.
void note_loss() {
  joins_from_ns = port::now_ns() + kCalmNs;
}

SendTogether::SendTogether() {
  bool may_join = port::now_ns() >= joins_from_ns;
  for (Interface* card : all_interfaces()) card->hold(may_join);
}
SendTogether::~SendTogether() {
  for (Interface* card : all_interfaces()) card->release();
}

bool Interface::service() {
  check_link();
  SendTogether together;
  send_waiting();
  return device_.poll(*this, kBudget) == kBudget;
}

// ---- text for people -------------------------------------------------------------------------

void Interface::describe(base::Writer& out) {
  MacAddress m = device_.mac();
  base::format_to(out, "{}: {} {:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x} mtu {} {}\n",
                  device_.name(), device_.driver(), m[0], m[1], m[2], m[3], m[4], m[5], netif_.mtu,
                  netif_is_link_up(&netif_) != 0 ? "link up" : "no link");
  if (!ip4_addr_isany_val(*netif_ip4_addr(&netif_))) {
    base::format_to(out, "  inet  {}/{}", AddressText(*netif_ip_addr4(&netif_)).view(),
                    prefix_of(*netif_ip4_netmask(&netif_)));
    if (!ip4_addr_isany_val(*netif_ip4_gw(&netif_)))
      base::format_to(out, " gateway {}", AddressText(*netif_ip_gw4(&netif_)).view());
    const dhcp* lease = netif_dhcp_data(&netif_);
    if (lease != nullptr && dhcp_supplied_address(&netif_) != 0)
      base::format_to(out, " lease {} s", lease->offered_t0_lease);
    out.write("\n");
  }
  for (u32 i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
    u8 state = netif_ip6_addr_state(&netif_, i);
    if (ip6_addr_isinvalid(state)) continue;
    const char* word = ip6_addr_istentative(state)   ? " tentative"
                       : ip6_addr_ispreferred(state) ? ""
                                                     : " deprecated";
    base::format_to(out, "  inet6 {}{}\n", AddressText(*netif_ip_addr6(&netif_, i)).view(), word);
  }
}

}  // namespace net
