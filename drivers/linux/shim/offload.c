// SPDX-License-Identifier: GPL-2.0-or-later
// Uses the offloads of cards for TCP: cutting a long segment into frames (sending), and omitting
// the checksum of frames that were never on a wire (receiving).
//
// The stack passes frames. A frame that continues the previous one is joined to it, and the card
// cuts the whole apart again: one pass through the driver instead of forty.
#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/netdevice.h>
#include <linux/tcp.h>
#include <net/checksum.h>
#include <net/tcp.h>

#include "drivers/linux/shim/shim.h"

enum {
  kMostJoined = 63 << 10,  // bytes of a joined frame: with its shared info it fits 64 KiB
  kLeastPiece = 512,       // payload of a frame that is worth joining
  kHeadroom = 32,  // room for headers that drivers add
  kNetwork = ETH_HLEN,
  kTransport = ETH_HLEN + sizeof(struct iphdr),
};

static struct iphdr *ip_of(const void *frame) { return (struct iphdr *)((char *)frame + kNetwork); }
static struct tcphdr *tcp_of(const void *frame) { return (struct tcphdr *)((char *)frame + kTransport); }

// Returns the bytes of headers of a frame that carries TCP data over IPv4 and nothing unusual; 0
// for others.
static unsigned int joinable(const void *frame, unsigned int bytes) {
  const struct ethhdr *eth = frame;
  const struct iphdr *ip = ip_of(frame);
  const struct tcphdr *tcp = tcp_of(frame);
  if (bytes < kTransport + sizeof(*tcp) || eth->h_proto != htons(ETH_P_IP)) return 0;
  if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_TCP || ip->frag_off & htons(IP_MF | IP_OFFSET)) return 0;
  if (ntohs(ip->tot_len) + kNetwork != bytes) return 0;
  __be32 flags = TCP_FLAG_CWR | TCP_FLAG_ECE | TCP_FLAG_URG | TCP_FLAG_ACK | TCP_FLAG_RST | TCP_FLAG_SYN | TCP_FLAG_FIN;
  unsigned int headers = kTransport + tcp->doff * 4;
  return (tcp_flag_word(tcp) & flags) == TCP_FLAG_ACK && bytes > headers ? headers : 0;
}
// Compares everything but lengths, checksums, the packet's number, the sequence number and the push
// flag.
static bool same_headers(const void *a, const void *b, unsigned int headers) {
  const struct iphdr *ip = ip_of(a), *other = ip_of(b);
  const struct tcphdr *tcp = tcp_of(a), *next = tcp_of(b);
  return memcmp(a, b, ETH_HLEN) == 0 && ip->tos == other->tos && ip->ttl == other->ttl && ip->frag_off == other->frag_off &&
         ip->saddr == other->saddr && ip->daddr == other->daddr && tcp->source == next->source && tcp->dest == next->dest &&
         tcp->ack_seq == next->ack_seq && tcp->window == next->window && tcp->doff == next->doff &&
         memcmp(tcp + 1, next + 1, headers - kTransport - sizeof(*tcp)) == 0;
}
static struct sk_buff *with_room(struct sk_buff *skb) {
  struct sk_buff *large = __alloc_skb(kMostJoined + kHeadroom, GFP_ATOMIC, 0, 0);
  if (!large) return NULL;
  skb_reserve(large, kHeadroom);
  memcpy(skb_put(large, skb->len), skb->data, skb->len);
  large->dev = skb->dev;
  skb_reset_mac_header(large);
  skb_set_network_header(large, ETH_HLEN);
  large->protocol = skb->protocol;
  kfree_skb(skb);
  return large;
}

// Appends the frame to the waiting one, which may be replaced by a larger one. Returns false if
// that must be sent first.
bool shim_join(struct sk_buff **waiting, const void *frame, unsigned int bytes) {
  struct sk_buff *skb = *waiting;
  if (!(skb->dev->features & NETIF_F_TSO)) return false;
  unsigned int headers = joinable(skb->data, skb->len);
  if (!headers || joinable(frame, bytes) != headers || !same_headers(skb->data, frame, headers)) return false;
  unsigned int have = skb->len - headers, more = bytes - headers, piece = skb_shinfo(skb)->gso_size ?: have;
  // Only the last piece may be shorter than the others.
  if (piece < kLeastPiece || have % piece || more > piece) return false;
  if (skb->len + more > min_t(unsigned int, skb->dev->gso_max_size, kMostJoined)) return false;
  if (ntohl(tcp_of(skb->data)->seq) + have != ntohl(tcp_of(frame)->seq)) return false;
  if (!skb_shinfo(skb)->gso_size) {
    skb = with_room(skb);
    if (!skb) return false;
    *waiting = skb;
    skb_shinfo(skb)->gso_size = piece;
    skb_shinfo(skb)->gso_segs = 1;
  }
  memcpy(skb_put(skb, more), (const char *)frame + headers, more);
  skb_shinfo(skb)->gso_segs++;
  tcp_of(skb->data)->psh |= tcp_of(frame)->psh;
  ip_of(skb->data)->tot_len = htons(skb->len - kNetwork);
  return true;
}
// Sets what the driver needs to know in order to have a joined frame cut.
void shim_finish_joined(struct sk_buff *skb) {
  if (!skb_shinfo(skb)->gso_size) return;
  struct iphdr *ip = ip_of(skb->data);
  skb_shinfo(skb)->gso_type = SKB_GSO_TCPV4;
  skb_set_transport_header(skb, kTransport);
  skb->ip_summed = CHECKSUM_PARTIAL;
  skb->csum_start = skb_transport_header(skb) - skb->head;
  skb->csum_offset = offsetof(struct tcphdr, check);
  ip_send_check(ip);
  tcp_hdr(skb)->check = ~csum_tcpudp_magic(ip->saddr, ip->daddr, skb->len - kTransport, IPPROTO_TCP, 0);
}
void ip_send_check(struct iphdr *ip) {
  ip->check = 0;
  ip->check = ip_fast_csum(ip, ip->ihl);
}

// Takes a frame from this machine's host (virtio) that has only the place of the checksum.
bool skb_partial_csum_set(struct sk_buff *skb, u16 start, u16 offset) {
  if (start + offset + sizeof(__sum16) > skb_headlen(skb)) return false;
  skb->ip_summed = CHECKSUM_PARTIAL;
  skb->csum_start = skb_headroom(skb) + start;
  skb->csum_offset = offset;
  skb_set_transport_header(skb, start);
  return true;
}
// Fills in the checksum of such a frame; `frame` has all of it in one run.
void shim_fill_checksum(const struct sk_buff *skb, void *frame) {
  if (skb->ip_summed != CHECKSUM_PARTIAL) return;
  unsigned int start = skb_checksum_start_offset(skb), place = start + skb->csum_offset;
  if (place + sizeof(__sum16) > skb->len) return;
  __sum16 sum = csum_fold(csum_partial((char *)frame + start, skb->len - start, 0));
  memcpy((char *)frame + place, &sum, sizeof(sum));
}
// The one's complement sum of RFC 1071, eight bytes at a time.
__wsum csum_partial(const void *bytes, int length, __wsum sum) {
  const char *at = bytes;
  u64 total = (__force u32)sum, word;
  for (; length >= 8; at += 8, length -= 8) {
    memcpy(&word, at, 8);
    total += word;
    total += total < word;  // adds the carry
  }
  word = 0;
  memcpy(&word, at, length);
  total += word;
  total += total < word;
  total = (u32)total + (total >> 32);
  return (__force __wsum)((u32)total + (u32)(total >> 32));
}
