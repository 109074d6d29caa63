// SPDX-License-Identifier: GPL-2.0-or-later
// Hooks by which lwIP leaves decisions to this kernel.
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
// Called with every segment of a connection before lwIP processes it. Its options are in two
// pieces.
err_t marrow_lwip_tcp_input(struct tcp_pcb* pcb, struct tcp_hdr* header, u16_t option_bytes,
                            u16_t in_first, u8_t* more, struct pbuf* packet);
// Returns how many bytes of one connection may wait for those before them.
u32_t marrow_lwip_most_waiting(void);
struct netif* marrow_lwip_route(const ip4_addr_t* source, const ip4_addr_t* destination);
#ifdef __cplusplus
}
#endif
