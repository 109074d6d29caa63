// SPDX-License-Identifier: GPL-2.0-or-later
// Decisions that lwIP leaves to us.
#pragma once

#include <lwip/ip_addr.h>
#include <lwip/netif.h>

#ifdef __cplusplus
extern "C" {
#endif
u32_t marrow_lwip_initial_sequence(const ip_addr_t* local, u16_t local_port,
                                   const ip_addr_t* remote, u16_t remote_port);
struct tcp_pcb;
struct tcp_hdr;
struct pbuf;
// Every segment for a connection, before lwIP takes it; its options lie in two pieces.
err_t marrow_lwip_tcp_input(struct tcp_pcb* pcb, struct tcp_hdr* header, u16_t option_bytes,
                            u16_t in_first, u8_t* more, struct pbuf* packet);
// Bytes of one connection that may wait for those before them.
u32_t marrow_lwip_most_waiting(void);
struct netif* marrow_lwip_route(const ip4_addr_t* source, const ip4_addr_t* destination);
#ifdef __cplusplus
}
#endif
