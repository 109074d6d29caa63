// SPDX-License-Identifier: GPL-2.0-or-later
// Implements ICMP echo. RFC 792, RFC 4443 section 4.
#include <lwip/icmp.h>
#include <lwip/icmp6.h>
#include <lwip/inet_chksum.h>
#include <lwip/raw.h>

#include "kernel/net/lwip/convert.h"
#include "kernel/net/lwip/port.h"
#include "kernel/net/stack.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace net {
namespace {

constexpr u16 kIdentifier = 0x4d41;
constexpr u16 kPayloadBytes = 56;

struct Echo {
  ip_addr_t target{};
  u16 sequence = 0;
  u64 answered_ns = 0;  // 0 = not yet
  sched::WaitQueue done;
};

// Answers have the same form in both protocols, except for their type.
u8_t on_packet(void* argument, raw_pcb* pcb, pbuf* packet, const ip_addr_t* from) {
  auto& echo = *static_cast<Echo*>(argument);
  u16 offset = ip_current_header_tot_len();
  icmp_echo_hdr header{};
  if (pbuf_copy_partial(packet, &header, sizeof header, offset) != sizeof header) return 0;
  u8 wanted = pcb->protocol == IP_PROTO_ICMP ? ICMP_ER : static_cast<u8>(ICMP6_TYPE_EREP);
  if (header.type != wanted || header.id != lwip_htons(kIdentifier) ||
      header.seqno != lwip_htons(echo.sequence) || !ip_addr_cmp_zoneless(from, &echo.target))
    return 0;
  echo.answered_ns = timing::now_ns();
  echo.done.wake_all();
  pbuf_free(packet);
  return 1;
}

Result<void> send_echo(raw_pcb* pcb, const Echo& echo) {
  constexpr u16 kBytes = sizeof(icmp_echo_hdr) + kPayloadBytes;
  pbuf* packet = pbuf_alloc(PBUF_IP, kBytes, PBUF_RAM);
  if (packet == nullptr) return std::unexpected(from_lwip_error(ERR_MEM));
  auto* bytes = static_cast<Byte*>(packet->payload);
  for (u16 i = 0; i < kBytes; i++) bytes[i] = static_cast<Byte>(i);
  bool v6 = IP_IS_V6_VAL(echo.target);
  icmp_echo_hdr header{};
  header.type = v6 ? static_cast<u8>(ICMP6_TYPE_EREQ) : ICMP_ECHO;
  header.id = lwip_htons(kIdentifier);
  header.seqno = lwip_htons(echo.sequence);
  std::memcpy(bytes, &header, sizeof header);
  if (!v6) {  // lwIP computes the checksum for IPv6, which covers the addresses
    header.chksum = inet_chksum(bytes, kBytes);
    std::memcpy(bytes, &header, sizeof header);
  }
  err_t error = raw_sendto(pcb, packet, &echo.target);
  pbuf_free(packet);
  if (error != ERR_OK) return std::unexpected(from_lwip_error(error));
  return {};
}

}  // namespace

Result<u64> ping(const IpAddress& address, u16 sequence, u64 deadline_ns) {
  Echo echo;
  echo.target = to_lwip(address);
  echo.sequence = sequence;
  u8 protocol = address.v6 ? static_cast<u8>(IP6_NEXTH_ICMP6) : IP_PROTO_ICMP;
  raw_pcb* pcb = raw_new_ip_type(IP_GET_TYPE(&echo.target), protocol);
  if (pcb == nullptr) return fail(Errc::kFull, "too many open connections: close some");
  if (address.v6) {
    pcb->chksum_reqd = 1;
    pcb->chksum_offset = 2;  // offset of the checksum in the header
  }
  raw_recv(pcb, on_packet, &echo);
  u64 begin = timing::now_ns();
  Result<void> sent = send_echo(pcb, echo);
  while (sent.has_value() && echo.answered_ns == 0 && timing::now_ns() < deadline_ns)
    echo.done.wait(deadline_ns);
  raw_remove(pcb);
  if (!sent.has_value()) return std::unexpected(sent.error());
  if (echo.answered_ns == 0) return fail(Errc::kTimeout, "no answer");
  return echo.answered_ns - begin;
}

}  // namespace net
