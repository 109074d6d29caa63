// SPDX-License-Identifier: GPL-2.0-or-later
// Prints the stack's tables for people: `ip`, `ss` and `net`.
#include <lwip/dns.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/stats.h>
#include <lwip/udp.h>

#include "kernel/dev/registry.h"
#include "kernel/net/lwip/convert.h"
#include "kernel/net/lwip/interface.h"
#include "kernel/net/lwip/port.h"
#include "kernel/net/lwip/sockets.h"
#include "kernel/net/ntp.h"
#include "kernel/net/stack.h"
#include "kernel/time/wall_clock.h"

namespace net {
namespace {

const char* state_name(tcp_state state) {
  static constexpr const char* kNames[] = {"closed",  "listen",     "syn-sent",   "syn-received",
                                           "open",    "fin-wait-1", "fin-wait-2", "close-wait",
                                           "closing", "last-ack",   "time-wait"};
  return state < std::size(kNames) ? kNames[state] : "?";
}

void write_end(base::Writer& out, const ip_addr_t& address, u16 port) {
  char text[80];
  std::string_view host = AddressText(address).view();
  out.write(" ");
  base::format_to(out, "{:<28}", base::format_into(text, "{}:{}", host, port));
}

void write_connection(base::Writer& out, const tcp_pcb& pcb) {
  base::format_to(out, "{:<12}", state_name(pcb.state));
  write_end(out, pcb.local_ip, pcb.local_port);
  write_end(out, pcb.remote_ip, pcb.remote_port);
  base::format_to(out, " {:>8} {:>8} {:>6}\n", pcb.snd_lbb - pcb.lastack,
                  TCP_WND_MAX(&pcb) - pcb.rcv_wnd, static_cast<u32>(pcb.nrtx));
}

void write_row(base::Writer& out, const char* name, const stats_proto& row) {
  base::format_to(out, "{:<10} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9}\n", name, row.recv, row.xmit,
                  row.drop, row.chkerr, row.lenerr + row.proterr + row.opterr + row.err,
                  row.memerr);
}

}  // namespace

void write_address(base::Writer& out, const IpAddress& address) {
  out.write(AddressText(to_lwip(address)).view());
}

void describe_interfaces(base::Writer& out) {
  for (Interface* card : all_interfaces()) card->describe(out);
  for (u8 i = 0; i < DNS_MAX_SERVERS; i++) {
    const ip_addr_t* server = dns_getserver(i);
    if (!ip_addr_isany(server))
      base::format_to(out, "name server {}\n", AddressText(*server).view());
  }
}

void describe_sockets(base::Writer& out) {
  base::format_to(out, "{:<12} {:<28} {:<28} {:>8} {:>8} {:>6}\n", "state", "local", "peer",
                  "to send", "to read", "again");
  for (tcp_pcb_listen* pcb = tcp_listen_pcbs.listen_pcbs; pcb != nullptr; pcb = pcb->next) {
    base::format_to(out, "{:<12}", state_name(pcb->state));
    write_end(out, pcb->local_ip, pcb->local_port);
    out.write("\n");
  }
  for (tcp_pcb* pcb = tcp_active_pcbs; pcb != nullptr; pcb = pcb->next) write_connection(out, *pcb);
  for (tcp_pcb* pcb = tcp_tw_pcbs; pcb != nullptr; pcb = pcb->next) write_connection(out, *pcb);
  for (udp_pcb* pcb = udp_pcbs; pcb != nullptr; pcb = pcb->next) {
    base::format_to(out, "{:<12}", "udp");
    write_end(out, pcb->local_ip, pcb->local_port);
    out.write("\n");
  }
}

void describe_counters(base::Writer& out) {
  base::format_to(out, "{:<10} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9}\n", "protocol", "in", "out",
                  "dropped", "checksum", "malformed", "memory");
  struct Row {
    const char* name;
    const stats_proto& counters;
  };
  const Row rows[] = {
      {"link", lwip_stats.link}, {"arp", lwip_stats.etharp}, {"ip", lwip_stats.ip},
      {"icmp", lwip_stats.icmp}, {"ip6", lwip_stats.ip6},    {"icmp6", lwip_stats.icmp6},
      {"nd6", lwip_stats.nd6},   {"udp", lwip_stats.udp},    {"tcp", lwip_stats.tcp}};
  for (const Row& row : rows) write_row(out, row.name, row.counters);
  for (Interface* card : all_interfaces())
    if (card->frames_refused() > 0)
      base::format_to(out, "{}: {} frames lost for want of room\n", card->device().name(),
                      card->frames_refused());
  base::format_to(out, "packets hold {} KiB\n", port::memory_taken() / kKiB);
  if (timing::unix_time_known()) {
    char text[32];
    base::format_to(out, "time {} UTC, asked of {}{}\n",
                    timing::format_utc(text, timing::unix_ns()), ntp_server(),
                    timing::unix_time_confirmed() ? "" : ", not confirmed yet");
  }
}

}  // namespace net
