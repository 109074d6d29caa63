// SPDX-License-Identifier: GPL-2.0-or-later
// Socket buffers: one header, one data area, and page fragments behind it. No clones, no frag
// lists.
//
// A data area is either kmalloc's or a driver's page (build_skb, which is freed by page reference).
#include <linux/etherdevice.h>
#include <linux/netdevice.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>

#include "drivers/linux/shim/shim.h"

static void set_up(struct sk_buff *skb, void *data, unsigned int size) {
  skb->head = skb->data = data;
  skb_reset_tail_pointer(skb);
  skb->end = size;
  skb->truesize = SKB_TRUESIZE(size);
  skb->mac_header = skb->transport_header = (typeof(skb->mac_header))~0U;
  refcount_set(&skb->users, 1);
  memset(skb_shinfo(skb), 0, sizeof(struct skb_shared_info));
  atomic_set(&skb_shinfo(skb)->dataref, 1);
}

struct sk_buff *__alloc_skb(unsigned int size, gfp_t flags, int kind, int node) {
  struct sk_buff *skb = kzalloc(sizeof(*skb), flags);
  size = SKB_DATA_ALIGN(size);
  void *data = skb ? kmalloc(size + SKB_DATA_ALIGN(sizeof(struct skb_shared_info)), flags) : NULL;
  if (!data) {
    kfree(skb);
    return NULL;
  }
  set_up(skb, data, size);
  return skb;
}
struct sk_buff *__netdev_alloc_skb(struct net_device *device, unsigned int length, gfp_t flags) {
  struct sk_buff *skb = __alloc_skb(length + NET_SKB_PAD, flags, 0, 0);
  if (!skb) return NULL;
  skb_reserve(skb, NET_SKB_PAD);
  skb->dev = device;
  return skb;
}
struct sk_buff *__napi_alloc_skb(struct napi_struct *napi, unsigned int length, gfp_t flags) {
  struct sk_buff *skb = __netdev_alloc_skb(napi->dev, length + NET_IP_ALIGN, flags);
  if (skb) skb_reserve(skb, NET_IP_ALIGN);
  return skb;
}
// Builds a buffer over a page (fragment) of the driver's; `frag_size` includes the shared info at
// its end.
struct sk_buff *build_skb(void *data, unsigned int frag_size) {
  struct sk_buff *skb = kzalloc(sizeof(*skb), GFP_ATOMIC);
  if (!skb) return NULL;
  unsigned int size = frag_size ?: PAGE_SIZE;
  set_up(skb, data, size - SKB_DATA_ALIGN(sizeof(struct skb_shared_info)));
  skb->head_frag = 1;
  return skb;
}
struct sk_buff *napi_build_skb(void *data, unsigned int frag_size) { return build_skb(data, frag_size); }
// A fragment is a page of its own here.
void *__netdev_alloc_frag_align(unsigned int size, unsigned int align) {
  struct page *page = alloc_pages(GFP_ATOMIC | __GFP_COMP, get_order(size));
  return page ? page_address(page) : NULL;
}
void page_frag_free(void *at) { put_page(virt_to_head_page(at)); }
void __page_frag_cache_drain(struct page *page, unsigned int count) {
  if (page_ref_sub_and_test(page, count)) __folio_put(page_folio(page));
}
void kfree_skb_reason(struct sk_buff *skb, enum skb_drop_reason reason) {
  if (!skb || !skb_unref(skb)) return;
  struct skb_shared_info *shared = skb_shinfo(skb);
  for (int i = 0; i < shared->nr_frags; i++) __skb_frag_unref(&shared->frags[i], false);
  if (skb->destructor) skb->destructor(skb);
  if (skb->head_frag) {
    put_page(virt_to_head_page(skb->head));
  } else {
    kfree(skb->head);
  }
  kfree(skb);
}
void __dev_kfree_skb_any(struct sk_buff *skb, enum skb_free_reason reason) { kfree_skb_reason(skb, 0); }
void __dev_kfree_skb_irq(struct sk_buff *skb, enum skb_free_reason reason) { kfree_skb_reason(skb, 0); }
void napi_consume_skb(struct sk_buff *skb, int budget) { kfree_skb_reason(skb, 0); }

void *skb_put(struct sk_buff *skb, unsigned int length) {
  void *at = skb_tail_pointer(skb);
  if (skb->tail + length > skb->end) shim_host_fatal("skb_put past the end");
  skb->tail += length;
  skb->len += length;
  return at;
}
void *skb_push(struct sk_buff *skb, unsigned int length) {
  if (skb->data - length < skb->head) shim_host_fatal("skb_push before the start");
  skb->data -= length;
  skb->len += length;
  return skb->data;
}
void skb_trim(struct sk_buff *skb, unsigned int length) {
  if (skb->len <= length) return;
  skb->len = length;
  skb_set_tail_pointer(skb, length);
}
int ___pskb_trim(struct sk_buff *skb, unsigned int length) {
  if (skb->data_len) return -ENOMEM;  // fragmented frames are not shortened here
  skb_trim(skb, length);
  return 0;
}
int __skb_pad(struct sk_buff *skb, int pad, bool free_on_error) {
  if (skb_tailroom(skb) >= pad && !skb->data_len) {
    memset(skb_tail_pointer(skb), 0, pad);
    return 0;
  }
  if (free_on_error) kfree_skb(skb);
  return -ENOMEM;
}
int skb_copy_bits(const struct sk_buff *skb, int offset, void *to, int length) {
  int head = skb_headlen(skb);
  if (offset > (int)skb->len - length) return -EFAULT;
  if (offset < head) {
    int part = min(length, head - offset);
    memcpy(to, skb->data + offset, part);
    offset += part;
    to += part;
    length -= part;
  }
  int at = head;
  for (int i = 0; length > 0 && i < skb_shinfo(skb)->nr_frags; i++) {
    const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];
    int size = skb_frag_size(frag);
    if (offset < at + size) {
      int part = min(length, at + size - offset);
      memcpy(to, skb_frag_address(frag) + (offset - at), part);
      offset += part;
      to += part;
      length -= part;
    }
    at += size;
  }
  return length ? -EFAULT : 0;
}
// Moves `delta` bytes from the fragments into the head. (skb_tailroom() is 0 where there are any.)
void *__pskb_pull_tail(struct sk_buff *skb, int delta) {
  if ((int)(skb->end - skb->tail) < delta || skb_copy_bits(skb, skb_headlen(skb), skb_tail_pointer(skb), delta)) return NULL;
  skb->tail += delta;
  skb->data_len -= delta;
  struct skb_shared_info *shared = skb_shinfo(skb);
  int kept = 0;
  for (int i = 0; i < shared->nr_frags; i++) {
    int eaten = min(delta, (int)skb_frag_size(&shared->frags[i]));
    delta -= eaten;
    if (eaten == skb_frag_size(&shared->frags[i])) {
      __skb_frag_unref(&shared->frags[i], false);
      continue;
    }
    shared->frags[kept] = shared->frags[i];
    skb_frag_off_add(&shared->frags[kept], eaten);
    skb_frag_size_sub(&shared->frags[kept], eaten);
    kept++;
  }
  shared->nr_frags = kept;
  return skb_tail_pointer(skb);
}
void skb_add_rx_frag(struct sk_buff *skb, int index, struct page *page, int offset, int size, unsigned int truesize) {
  skb_fill_page_desc(skb, index, page, offset, size);
  skb->len += size;
  skb->data_len += size;
  skb->truesize += truesize;
}
void skb_coalesce_rx_frag(struct sk_buff *skb, int index, int size, unsigned int truesize) {
  skb_frag_size_add(&skb_shinfo(skb)->frags[index], size);
  skb->len += size;
  skb->data_len += size;
  skb->truesize += truesize;
}
int skb_to_sgvec(struct sk_buff *skb, struct scatterlist *list, int offset, int length) {
  if (skb->data_len) return -EMSGSIZE;  // Marrow's transmitter sends linear frames
  sg_set_buf(list, skb->data + offset, length);
  sg_mark_end(list);
  return 1;
}
bool skb_page_frag_refill(unsigned int size, struct page_frag *frag, gfp_t flags) {
  if (frag->page) {
    if (page_ref_count(frag->page) == 1) frag->offset = 0;
    if (frag->offset + size <= frag->size) return true;
    put_page(frag->page);
  }
  frag->offset = 0;
  frag->size = PAGE_SIZE << 3;
  frag->page = alloc_pages(flags | __GFP_COMP, 3);
  if (!frag->page) {
    frag->size = PAGE_SIZE;
    frag->page = alloc_page(flags);
  }
  return frag->page != NULL;
}
__be16 eth_type_trans(struct sk_buff *skb, struct net_device *device) {
  skb->dev = device;
  skb_reset_mac_header(skb);
  skb_pull_inline(skb, ETH_HLEN);
  return eth_hdr(skb)->h_proto;
}
