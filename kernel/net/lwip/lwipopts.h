// SPDX-License-Identifier: GPL-2.0-or-later
// lwIP's configuration: its protocols, its memory, and settings that avoid its pitfalls.
#pragma once

// ---- environment: cooperative threads of one CPU, the raw interface ----
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_TIMERS_CUSTOM 1  // timers.cpp
#define LWIP_SOCKET 0
#define LWIP_HOOK_FILENAME "lwip_hooks.h"
#define LWIP_HOOK_TCP_ISN marrow_lwip_initial_sequence
#define LWIP_HOOK_TCP_INPACKET_PCB marrow_lwip_tcp_input
#define LWIP_HOOK_IP4_ROUTE_SRC marrow_lwip_route

// ---- memory: packets use a bounded heap of network pages, objects use pools ----
#define MEM_ALIGNMENT 8
#define MEM_LIBC_MALLOC 1
#define mem_clib_malloc marrow_lwip_allocate
#define mem_clib_calloc marrow_lwip_allocate_cleared
#define mem_clib_free marrow_lwip_free
// Under sanitizers every object is a separate allocation, so that an overrun is noticed.
#ifndef MEMP_MEM_MALLOC
#define MEMP_MEM_MALLOC 0
#endif
#define PBUF_POOL_SIZE 0  // memory for received frames is allocated to fit
#define MEMP_NUM_PBUF 1024
#define MEMP_NUM_RAW_PCB 8
#define MEMP_NUM_UDP_PCB 16
#define MEMP_NUM_TCP_PCB 1280  // at most 1024 connections, and those that are still closing
#define MEMP_NUM_TCP_PCB_LISTEN 8
#define MEMP_NUM_TCP_SEG 8192
#define MEMP_NUM_REASSDATA 16
#define MEMP_NUM_FRAG_PBUF 64
#define MEMP_NUM_ARP_QUEUE 64
#define MEMP_NUM_ND6_QUEUE 64
#define MEMP_NUM_IGMP_GROUP 32
#define MEMP_NUM_MLD6_GROUP 64
#define MEMP_NUM_SYS_TIMEOUT 41
#define IP_REASS_MAX_PBUFS 128
#define TCP_OOSEQ_BYTES_LIMIT(pcb) marrow_lwip_most_waiting()
#define TCP_OOSEQ_MAX_PBUFS 1024

// ---- links and addresses ----
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define IPV6_FRAG_COPYHEADER 1  // its header fields hold no 64-bit pointer
#define ETH_PAD_SIZE 0
#define LWIP_VLAN_PCP 0
#define LWIP_ARP 1
#define ARP_TABLE_SIZE 64
#define ARP_QUEUEING 1
#define LWIP_DHCP 1
#define LWIP_DHCP_GET_NTP_SRV 1
#define LWIP_DHCP_MAX_NTP_SERVERS 2
#define LWIP_AUTOIP 1  // chooses an address where nobody answers DHCP
#define LWIP_DHCP_AUTOIP_COOP 1
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_MLD 1
#define LWIP_IGMP 1
#define LWIP_ND6_NUM_NEIGHBORS 32
#define LWIP_ND6_NUM_DESTINATIONS 64
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 2
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_HAVE_LOOPIF 1
#define LWIP_LOOPBACK_MAX_PBUFS 256
#define LWIP_NUM_NETIF_CLIENT_DATA 2
#define LWIP_RAW 1
#define LWIP_ICMP 1
#define LWIP_BROADCAST_PING 0
#define LWIP_MULTICAST_PING 0
#define LWIP_MULTICAST_TX_OPTIONS 1

// ---- TCP ----
#define TCP_MSS 8960  // for a 9000-byte link; each connection uses what its own link can carry
#define TCP_WND (1024 * 1024)
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 5
#define TCP_SND_BUF (256 * 1024)
#define TCP_SND_QUEUELEN 1024
#define TCP_SNDLOWAT 16384  // its default would not fit 16 bits with buffers of this size
#define TCP_SNDQUEUELOWAT 512
#define TCP_OVERSIZE 1460    // with TCP_MSS every short write would take a buffer of 9 KB
#define TCP_TMR_INTERVAL 40  // ms: lwIP's timeouts are three of its slow ticks, which are 240 ms
#define TCP_SYNMAXRTX 12     // a second apart
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1  // recovery.cpp
#define TCP_QUEUE_OOSEQ 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_TIMESTAMPS 0
#define LWIP_TCP_KEEPALIVE 1
#define TCP_LISTEN_BACKLOG 1
#define TCP_DEFAULT_LISTEN_BACKLOG 128
#define TCP_MSL 15000  // ms; a closed pair of ports is unusable for twice that

// ---- names and time ----
#define LWIP_DNS 1
#define DNS_TABLE_SIZE 8
#define DNS_MAX_SERVERS 4
#define LWIP_DNS_SUPPORT_MDNS_QUERIES 1
#define LWIP_MDNS_RESPONDER 1
#define MDNS_MAX_SERVICES 2
#define SNTP_SERVER_DNS 1
#define SNTP_MAX_SERVERS 2
// a reply must repeat what was sent, and its server must know the time
#define SNTP_CHECK_RESPONSE 4
#define SNTP_STARTUP_DELAY 0
#define SNTP_SUPPRESS_DELAY_CHECK  // it is a variable
#define SNTP_UPDATE_DELAY marrow_lwip_time_delay_ms
#define SNTP_SET_SYSTEM_TIME_US(seconds, microseconds) marrow_lwip_set_time(seconds, microseconds)
#define SNTP_GET_SYSTEM_TIME(seconds, microseconds) \
  do {                                              \
    uint32_t s_, us_;                               \
    marrow_lwip_get_time(&s_, &us_);                \
    (seconds) = s_;                                 \
    (microseconds) = us_;                           \
  } while (0)

// ---- counters ----
#define LWIP_STATS 1
#define LWIP_STATS_LARGE 1
#define MEM_STATS 0
#define MEMP_STATS 0
