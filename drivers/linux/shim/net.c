// SPDX-License-Identifier: GPL-2.0-or-later
// Network devices and NAPI. Frames that a driver hands up wait on a short queue until Marrow's
// stack polls; the frame's sk_buff is lent, not copied. Sending copies into an sk_buff once.
#include <linux/bpf.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/flow_dissector.h>
#include <net/net_failover.h>
#include <net/xdp.h>

#include "drivers/linux/shim/shim.h"

enum { kMaxCards = 8, kQueueLimit = 1024 };

struct card {
  struct net_device *device;  // NULL once it is gone
  const char *driver;
  char name[IFNAMSIZ];
  struct sk_buff_head received;
  struct sk_buff *pending;  // sent with the next frame, or when the card is let go
  unsigned int held;
  unsigned long rx_frames, rx_bytes, rx_dropped, tx_frames, tx_bytes, tx_dropped;
  bool open, joins;
};
static struct card cards[kMaxCards];
static int card_count;

static struct card *card_of(const struct net_device *device) {
  for (int i = 0; i < card_count; i++) {
    if (cards[i].device == device) return &cards[i];
  }
  return NULL;
}

// ---- life of a net_device ----
struct net_device *alloc_etherdev_mqs(int private_bytes, unsigned int tx, unsigned int rx) {
  size_t size = ALIGN(sizeof(struct net_device), NETDEV_ALIGN) + private_bytes;
  struct net_device *device = kzalloc(size, GFP_KERNEL);
  if (!device) return NULL;
  device->_rx = kcalloc(rx, sizeof(*device->_rx), GFP_KERNEL);
  device->_tx = kcalloc(tx, sizeof(*device->_tx), GFP_KERNEL);
  device->dev_addr = kzalloc(MAX_ADDR_LEN, GFP_KERNEL);
  if (!device->_rx || !device->_tx || !device->dev_addr) {
    free_netdev(device);
    return NULL;
  }
  device->num_rx_queues = device->real_num_rx_queues = rx;
  device->num_tx_queues = device->real_num_tx_queues = tx;
  for (unsigned int i = 0; i < tx; i++) device->_tx[i].dev = device;
  device->mtu = device->max_mtu = ETH_DATA_LEN;
  device->min_mtu = ETH_MIN_MTU;
  device->hard_header_len = ETH_HLEN;
  device->addr_len = ETH_ALEN;
  device->flags = IFF_BROADCAST | IFF_MULTICAST;
  device->gso_max_size = GSO_LEGACY_MAX_SIZE;
  INIT_LIST_HEAD(&device->uc.list);
  INIT_LIST_HEAD(&device->mc.list);
  INIT_LIST_HEAD(&device->napi_list);
  spin_lock_init(&device->addr_list_lock);
  strscpy(device->name, "eth?", IFNAMSIZ);
  return device;
}
void free_netdev(struct net_device *device) {
  kfree(device->_rx);
  kfree(device->_tx);
  kfree(device->dev_addr);
  kfree(device);
}
int register_netdevice(struct net_device *device) {
  if (card_count == kMaxCards) return -ENOSPC;
  snprintf(device->name, IFNAMSIZ, "eth%d", card_count);
  if (device->netdev_ops->ndo_init) {
    int error = device->netdev_ops->ndo_init(device);
    if (error) return error;
  }
  device->features &= ~NETIF_F_LRO;  // the stack takes frames as they were on the wire
  device->ifindex = card_count + 1;
  device->reg_state = NETREG_REGISTERED;
  set_bit(__LINK_STATE_PRESENT, &device->state);
  skb_queue_head_init(&cards[card_count].received);
  struct card *card = &cards[card_count];
  struct device *parent = device->dev.parent;
  while (parent && !parent->driver) parent = parent->parent;
  card->driver = parent ? parent->driver->name : "unknown";
  strscpy(card->name, device->name, IFNAMSIZ);
  card->device = device;
  card_count++;
  shim_host_devices_changed();
  return 0;
}
int register_netdev(struct net_device *device) { return register_netdevice(device); }
// A driver calls this for a card that it cannot use any longer.
void dev_close(struct net_device *device) {
  struct card *card = card_of(device);
  if (!card || !card->open) return;
  card->open = false;
  if (device->netdev_ops->ndo_stop) device->netdev_ops->ndo_stop(device);
  shim_host_wake_interfaces();
}
void unregister_netdev(struct net_device *device) {
  struct card *card = card_of(device);
  dev_close(device);
  device->reg_state = NETREG_UNREGISTERED;
  clear_bit(__LINK_STATE_PRESENT, &device->state);
  if (!card) return;
  card->device = NULL;
  struct sk_buff *skb;
  while ((skb = skb_dequeue(&card->received))) kfree_skb(skb);
  if (card->pending) kfree_skb(card->pending);
  card->pending = NULL;
  pr_info("%s: gone\n", card->name);
  shim_host_wake_interfaces();
}
void dev_addr_mod(struct net_device *device, unsigned int offset, const void *bytes, size_t length) {
  memcpy((u8 *)device->dev_addr + offset, bytes, length);
}

// The network's configuration lock. Only work items that sleep contend for it.
static DEFINE_MUTEX(rtnl);
void rtnl_lock(void) { mutex_lock(&rtnl); }
void rtnl_unlock(void) { mutex_unlock(&rtnl); }
int rtnl_trylock(void) { return mutex_trylock(&rtnl); }
int rtnl_is_locked(void) { return mutex_is_locked(&rtnl); }

// ---- state ----
void netif_carrier_on(struct net_device *device) {
  if (!test_and_clear_bit(__LINK_STATE_NOCARRIER, &device->state)) return;
  netdev_info(device, "link is up\n");
  shim_host_wake_interfaces();
}
void netif_carrier_off(struct net_device *device) {
  if (test_and_set_bit(__LINK_STATE_NOCARRIER, &device->state) || device->reg_state != NETREG_REGISTERED) return;
  netdev_info(device, "link is down\n");
  shim_host_wake_interfaces();
}
void netif_device_attach(struct net_device *device) { set_bit(__LINK_STATE_PRESENT, &device->state); }
void netif_device_detach(struct net_device *device) { clear_bit(__LINK_STATE_PRESENT, &device->state); }
void netif_tx_wake_queue(struct netdev_queue *queue) {
  if (test_and_clear_bit(__QUEUE_STATE_DRV_XOFF, &queue->state)) shim_host_wake_interfaces();
}
void netif_tx_stop_all_queues(struct net_device *device) {
  for (unsigned int i = 0; i < device->num_tx_queues; i++) netif_tx_stop_queue(netdev_get_tx_queue(device, i));
}
int netif_set_real_num_tx_queues(struct net_device *device, unsigned int count) {
  device->real_num_tx_queues = count;
  return 0;
}
void netdev_notify_peers(struct net_device *device) {}  // lwIP announces itself when the link comes up
void netdev_rss_key_fill(void *key, size_t length) { shim_host_random(key, length); }
int eth_validate_addr(struct net_device *device) {
  return is_valid_ether_addr(device->dev_addr) ? 0 : -EADDRNOTAVAIL;
}
unsigned long dev_trans_start(struct net_device *device) { return netdev_get_tx_queue(device, 0)->trans_start; }
struct rtnl_link_stats64 *dev_get_stats(struct net_device *device, struct rtnl_link_stats64 *out) {
  if (device->netdev_ops->ndo_get_stats64) device->netdev_ops->ndo_get_stats64(device, out);
  return out;
}
u32 ethtool_op_get_link(struct net_device *device) { return netif_carrier_ok(device); }

// ---- NAPI: polls that are due wait on one list ----
static LIST_HEAD(due);
void netif_napi_add_weight(struct net_device *device, struct napi_struct *napi,
                           int (*poll)(struct napi_struct *, int), int weight) {
  INIT_LIST_HEAD(&napi->poll_list);
  napi->poll = poll;
  napi->weight = weight;
  napi->dev = device;
  napi->state = BIT(NAPI_STATE_SCHED);  // until napi_enable
  list_add_tail(&napi->dev_list, &device->napi_list);
}
void __netif_napi_del(struct napi_struct *napi) { list_del_init(&napi->dev_list); }
void napi_enable(struct napi_struct *napi) {
  clear_bit(NAPI_STATE_SCHED, &napi->state);
  shim_wake(napi);
}
void napi_disable(struct napi_struct *napi) {
  // Owning SCHED means that no poll is due or running.
  shim_wait_until(napi, !test_and_set_bit(NAPI_STATE_SCHED, &napi->state), ~0UL);
}
bool napi_schedule_prep(struct napi_struct *napi) { return !test_and_set_bit(NAPI_STATE_SCHED, &napi->state); }
void __napi_schedule(struct napi_struct *napi) {
  unsigned long flags;
  local_irq_save(flags);
  if (list_empty(&napi->poll_list)) list_add_tail(&napi->poll_list, &due);
  local_irq_restore(flags);
  shim_softirq();
}
bool napi_complete_done(struct napi_struct *napi, int work) {
  unsigned long flags;
  local_irq_save(flags);
  list_del_init(&napi->poll_list);
  clear_bit(NAPI_STATE_SCHED, &napi->state);
  local_irq_restore(flags);
  shim_wake(napi);  // napi_disable waits for the end of the poll
  return true;
}
bool shim_run_napi(void) {
  unsigned long flags;
  local_irq_save(flags);
  struct napi_struct *napi = list_first_entry_or_null(&due, struct napi_struct, poll_list);
  if (napi) list_del_init(&napi->poll_list);
  local_irq_restore(flags);
  if (!napi) return false;
  int work = napi->poll(napi, napi->weight);
  // A poll that used its whole budget is not complete: it is queued again, behind the others.
  if (work >= napi->weight) __napi_schedule(napi);
  if (work > 0) shim_host_wake_interfaces();
  return true;
}

// ---- receiving ----
static void take_frame(struct card *card, struct sk_buff *skb) {
  if (!card || card->received.qlen >= kQueueLimit) {
    if (card) card->rx_dropped++;
    kfree_skb(skb);
    return;
  }
  skb_push(skb, ETH_HLEN);  // eth_type_trans took the header off
  card->rx_frames++;
  card->rx_bytes += skb->len;
  skb_queue_tail(&card->received, skb);
}
gro_result_t napi_gro_receive(struct napi_struct *napi, struct sk_buff *skb) {
  take_frame(card_of(skb->dev ?: napi->dev), skb);
  return GRO_NORMAL;
}
int netif_receive_skb(struct sk_buff *skb) {
  take_frame(card_of(skb->dev), skb);
  return NET_RX_SUCCESS;
}
void skb_queue_tail(struct sk_buff_head *list, struct sk_buff *skb) { __skb_queue_tail(list, skb); }
struct sk_buff *skb_dequeue(struct sk_buff_head *list) { return __skb_dequeue(list); }

// ---- Marrow's side ----
int shim_net_count(void) { return card_count; }
void shim_net_info(int index, struct shim_net_info *out) {
  struct card *card = &cards[index];
  struct net_device *device = card->device;
  *out = (struct shim_net_info){
      .name = card->name,
      .driver = card->driver,
      .mtu = device ? device->mtu : 0,
      .link_up = device && card->open && netif_carrier_ok(device),
      .rx_frames = card->rx_frames,
      .rx_bytes = card->rx_bytes,
      .rx_dropped = card->rx_dropped,
      .tx_frames = card->tx_frames,
      .tx_bytes = card->tx_bytes,
      .tx_dropped = card->tx_dropped,
  };
  if (device) memcpy(out->mac, device->dev_addr, ETH_ALEN);
}
int shim_net_open(int index) {
  struct card *card = &cards[index];
  if (card->open) return 0;
  if (!card->device) return -ENODEV;
  shim_enter();
  set_bit(__LINK_STATE_START, &card->device->state);
  int error = card->device->netdev_ops->ndo_open(card->device);
  if (error) {
    clear_bit(__LINK_STATE_START, &card->device->state);
    return error;
  }
  card->device->flags |= IFF_UP | IFF_ALLMULTI;  // the stack picks its own groups
  if (card->device->netdev_ops->ndo_set_rx_mode) card->device->netdev_ops->ndo_set_rx_mode(card->device);
  card->open = true;
  // Asks for frames as they were on the wire, because the stack counts lengths in 16 bits.
  netdev_features_t features = card->device->features & ~NETIF_F_GRO_HW;
  if (features != card->device->features && card->device->hw_features & NETIF_F_GRO_HW &&
      card->device->netdev_ops->ndo_set_features(card->device, features) == 0)
    card->device->features = features;
  return 0;
}
// Passes the waiting frame to the driver. `more`: another frame follows at once, so the driver need
// not notify the device yet. Returns false if the ring is full; the frame then keeps waiting.
static bool send_pending(struct card *card, bool more) {
  struct net_device *device = card->device;
  struct netdev_queue *queue = netdev_get_tx_queue(device, 0);
  struct sk_buff *skb = card->pending;
  if (netif_xmit_stopped(queue)) return false;
  unsigned int bytes = skb->len, frames = skb_shinfo(skb)->gso_segs ?: 1;
  shim_finish_joined(skb);
  local_bh_disable();
  __this_cpu_write(softnet_data.xmit.more, more);
  netdev_tx_t result = device->netdev_ops->ndo_start_xmit(skb, device);
  __this_cpu_write(softnet_data.xmit.more, false);
  local_bh_enable();
  if (result != NETDEV_TX_OK) return false;
  card->pending = NULL;
  queue->trans_start = jiffies;
  card->tx_frames += frames;
  card->tx_bytes += bytes;
  return true;
}
int shim_net_transmit(int index, const void *frame, unsigned int bytes) {
  struct card *card = &cards[index];
  struct net_device *device = card->device;
  if (!card->open || !netif_device_present(device) || !netif_carrier_ok(device)) return -ENETDOWN;
  if (bytes < ETH_HLEN || bytes > device->mtu + ETH_HLEN + 4) return -EINVAL;
  shim_tick();
  if (card->held && card->joins && card->pending && shim_join(&card->pending, frame, bytes)) return 0;
  if (card->pending && !send_pending(card, true)) return -EBUSY;
  struct sk_buff *skb = __alloc_skb(bytes + 64, GFP_ATOMIC, 0, 0);
  if (!skb) return -ENOMEM;
  skb_reserve(skb, 32);  // virtio_net pushes its header in front
  memcpy(skb_put(skb, bytes), frame, bytes);
  skb->dev = device;
  skb_reset_mac_header(skb);
  skb_set_network_header(skb, ETH_HLEN);
  skb->protocol = eth_hdr(skb)->h_proto;
  card->pending = skb;
  if (card->held || send_pending(card, false)) return 0;
  card->pending = NULL;
  kfree_skb(skb);
  return -EBUSY;
}
void shim_net_hold(int index, int on, int join) {
  struct card *card = &cards[index];
  if (on) card->joins = join;
  card->held += on ? 1 : -1;
  if (!card->held && card->pending && card->device && netif_carrier_ok(card->device)) send_pending(card, false);
}
// Returns the frame as one run. Drivers that fill pages copy a few bytes into the head and leave
// the rest after them in the page, where the whole frame still is. NULL if it is scattered.
static void *run_of(const struct sk_buff *skb) {
  unsigned int head = skb_headlen(skb);
  if (!skb->data_len) return skb->data;
  const skb_frag_t *frag = &skb_shinfo(skb)->frags[0];
  if (skb_shinfo(skb)->nr_frags != 1 || skb_frag_off(frag) < head) return NULL;
  char *run = (char *)skb_frag_address(frag) - head;
  return memcmp(run, skb->data, head) == 0 ? run : NULL;
}
// Copies a scattered frame into one piece. NULL if memory ran out.
static struct sk_buff *gathered(struct sk_buff *skb) {
  struct sk_buff *whole = __alloc_skb(skb->len, GFP_ATOMIC, 0, 0);
  if (whole && skb_copy_bits(skb, 0, skb_put(whole, skb->len), skb->len)) {
    kfree_skb(whole);
    whole = NULL;
  }
  kfree_skb(skb);
  return whole;
}
int shim_net_poll(int index, unsigned int budget,
                  void (*receive)(void *context, const void *frame, unsigned int bytes, void *handle), void *context) {
  unsigned int count = 0;
  struct sk_buff *skb;
  while (count < budget && (skb = skb_dequeue(&cards[index].received))) {
    void *run = run_of(skb);
    if (!run) {
      skb = gathered(skb);
      if (!skb) {
        cards[index].rx_dropped++;
        continue;
      }
      run = skb->data;
    }
    shim_fill_checksum(skb, run);
    receive(context, run, skb->len, skb);
    count++;
  }
  return count;
}
void shim_net_release(void *handle) { kfree_skb(handle); }

// ---- parts of the network core that are needed only for linking ----
DEFINE_PER_CPU_ALIGNED(struct softnet_data, softnet_data);
DEFINE_PER_CPU(struct bpf_redirect_info, bpf_redirect_info);
struct static_key_false bpf_master_redirect_enabled_key, bpf_stats_enabled_key;
struct flow_dissector flow_keys_basic_dissector;
// Reports that the header length is unknown; e1000e and virtio_net then take the whole head.
bool __skb_flow_dissect(const struct net *net, const struct sk_buff *skb, struct flow_dissector *dissector, void *target,
                        const void *data, __be16 protocol, int network_offset, int header_length, unsigned int flags) {
  return false;
}
int __xdp_rxq_info_reg(struct xdp_rxq_info *queue, struct net_device *device, u32 index, unsigned int napi_id,
                       u32 frag_size) {
  return 0;
}
int xdp_rxq_info_reg_mem_model(struct xdp_rxq_info *queue, enum xdp_mem_type type, void *allocator) { return 0; }
void xdp_rxq_info_unreg(struct xdp_rxq_info *queue) {}
void net_failover_destroy(struct failover *failover) {}  // none was created
netdev_features_t passthru_features_check(struct sk_buff *skb, struct net_device *device, netdev_features_t features) {
  return features;
}
